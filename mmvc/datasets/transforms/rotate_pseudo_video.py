# Copyright (c) The mmvc contributors. All rights reserved.
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import avoid_cache_randomness
from mmdet.structures.mask import BitmapMasks

from mmvc.registry import TRANSFORMS


@TRANSFORMS.register_module()
@avoid_cache_randomness
class RotatePseudoVideo(BaseTransform):
    """Rotate the frames of a pseudo-video by monotonic angles about one point. Real videos are not changed.

    The largest angle is uniform in [-``max_angle``, ``max_angle``]. The angles of the frames are random fractions of
    it, in ascending or descending order with equal probability. The centre of rotation is uniform in the middle of
    the frame. Pixels from outside the frame are black and belong to no instance. Use it outside
    ``TransformBroadcaster``.

    Required keys: ``img`` (a list of T uint8 arrays (H, W, 3)) and, for pseudo-videos, ``pseudo_video`` (True) and
    ``gt_masks`` (a list of T BitmapMasks).

    Modified keys: ``img``, ``gt_masks`` and ``gt_bboxes``.

    Args:
        max_angle (float): Largest angle in degrees, in [0, 180]. Defaults to 15.
        center_range (tuple[float, float]): Range of the centre, as fractions of width and height. Defaults to
            (0.4, 0.6).

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, max_angle: float = 15., center_range: tuple[float, float] = (0.4, 0.6)) -> None:
        if not 0 <= max_angle <= 180:
            raise ValueError(f'RotatePseudoVideo: max_angle must be in [0, 180] degrees, got {max_angle}')
        if not 0 <= center_range[0] <= center_range[1] <= 1:
            raise ValueError(f'RotatePseudoVideo: center_range must lie in [0, 1], got {center_range}')
        self.max_angle = max_angle
        self.center_range = tuple(center_range)

    def draw_angles(self, num_frames: int) -> np.ndarray:
        """Draw the angle of each frame in degrees: float (T,), monotonic, all of the same sign."""
        shares = np.sort(np.random.random_sample(num_frames))
        if np.random.random_sample() < 0.5:
            shares = shares[::-1]
        return np.random.uniform(-self.max_angle, self.max_angle) * shares

    def transform(self, results: dict) -> dict:
        if not results.get('pseudo_video', [False])[0]:
            return results
        angles = self.draw_angles(len(results['img']))
        center = np.random.uniform(self.center_range[0], self.center_range[1], size=2)
        rotated = [
            self._rotate(image, masks, angle, center)
            for image, masks, angle in zip(results['img'], results['gt_masks'], angles)
        ]
        results['img'] = [image for image, _ in rotated]
        results['gt_masks'] = [masks for _, masks in rotated]
        results['gt_bboxes'] = [masks.get_bboxes('hbox') for masks in results['gt_masks']]
        return results

    @staticmethod
    def _rotate(image: np.ndarray, masks: BitmapMasks, angle: float,
                center: np.ndarray) -> tuple[np.ndarray, BitmapMasks]:
        height, width = image.shape[:2]
        point = (float(center[0] * (width - 1)), float(center[1] * (height - 1)))
        matrix = cv2.getRotationMatrix2D(point, float(angle), 1.)
        planes = [cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST) for mask in masks.masks]
        rotated = np.stack(planes) if planes else np.zeros((0, height, width), np.uint8)
        return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR), BitmapMasks(
            rotated, height, width)

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(max_angle={self.max_angle}, center_range={self.center_range})'
