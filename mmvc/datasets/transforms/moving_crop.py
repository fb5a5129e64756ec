# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import avoid_cache_randomness

from mmvc.registry import TRANSFORMS


@TRANSFORMS.register_module()
@avoid_cache_randomness
class MovingCrop(BaseTransform):
    """Crop a window that moves over the clip like a panning camera. Use it outside ``TransformBroadcaster``.

    Height and width of the window are drawn from ``crop_size``, once per clip. The window moves on a straight line
    between two random positions, at a random speed, and never back. Instances outside the window are kept with empty
    masks until packing drops them from the frame.

    Required keys: ``img``, a list of T arrays (H, W, C) of one size.

    Modified keys: ``img``, ``img_shape`` and, where there are any, ``gt_seg_map``, ``gt_masks`` and ``gt_bboxes``.

    Args:
        crop_size (tuple[int, int]): Smallest and largest side of the window in pixels. Both are clipped to the size
            of the frames.

    Raises:
        ValueError: ``crop_size`` is not a range, the frames differ in size, or the input is a single frame.
    """

    def __init__(self, crop_size: tuple[int, int]) -> None:
        if not 0 < crop_size[0] <= crop_size[1]:
            raise ValueError(f'MovingCrop: crop_size must be (smallest, largest) with 0 < smallest <= largest, got '
                             f'{crop_size}')
        self.crop_size = tuple(crop_size)

    def draw_windows(self, num_frames: int, height: int, width: int) -> np.ndarray:
        """Draw the window of each frame: int (T, 4) of left, top, right (exclusive) and bottom (exclusive)."""
        smallest, largest = self.crop_size
        sides = np.array([np.random.randint(min(side, smallest), min(side, largest) + 1) for side in (width, height)])
        places = np.random.randint(np.array([width, height]) - sides + 1, size=(2, 2))  # (left, top) of start and end
        pace = np.sort(np.random.random_sample(num_frames))[:, None]
        corners = np.rint(places[0] + pace * (places[1] - places[0])).astype(int)
        return np.concatenate([corners, corners + sides], axis=1)

    def transform(self, results: dict) -> dict:
        frames = results['img']
        if not isinstance(frames, (list, tuple)):
            raise ValueError('MovingCrop needs the whole clip: take it out of TransformBroadcaster')
        sizes = {frame.shape[:2] for frame in frames}
        if len(sizes) > 1:
            raise ValueError(f'MovingCrop: the frames of a clip differ in size: {sorted(sizes)}; resize them '
                             'inside TransformBroadcaster(share_random_params=True)')
        windows = self.draw_windows(len(frames), *sizes.pop())
        for key in ('img', 'gt_seg_map'):
            if key in results:
                results[key] = [image[y1:y2, x1:x2] for image, (x1, y1, x2, y2) in zip(results[key], windows)]
        results['img_shape'] = [image.shape[:2] for image in results['img']]
        if 'gt_masks' in results:
            results['gt_masks'] = [masks.crop(window) for masks, window in zip(results['gt_masks'], windows)]
            results['gt_bboxes'] = [masks.get_bboxes('hbox') for masks in results['gt_masks']]
        return results

    def __repr__(self) -> str:
        return f'{self.__class__.__name__}(crop_size={self.crop_size})'
