# Copyright (c) The mmvc contributors. All rights reserved.
import logging
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import avoid_cache_randomness
from mmengine.logging import print_log

from mmvc.registry import TRANSFORMS
from mmvc.utils.normalisation import IMAGENET_MEAN, same_pixel, zero_pixel_of_models
from mmvc.utils.patch_mask import draw_patch_mask, expand_patch_mask


@TRANSFORMS.register_module()
@avoid_cache_randomness
class RandomPatchMask(BaseTransform):
    """Mask random patches of an image, or of each frame of a clip on its own (MVC-1, arXiv 2408.10627, Eq. 1-4).

    Masked pixels get the mean of the model's data preprocessor, in the order of the image's channels and rounded for
    integer images. So they are zero after normalisation (to 0.01 with ImageNet's statistics). If the model does not
    normalise its inputs, they are zero as well. The ground truth is not masked.

    The model need not be named: the first masked sample asks for the newest model of the process. Runners build the
    model before the datasets. Worker processes take over what the process that starts them knows.

    It works on single images, in pipelines of MMDetection and MMSegmentation (``custom_imports =
    dict(imports=['mmvc'])``, ``type='mmvc.RandomPatchMask'``), and on clips, outside ``TransformBroadcaster``. It must
    come after the last resize, crop, flip and colour jitter, directly before packing.

    There are two losses. ``mode='switch'`` (arXiv 2408.10627, Eq. 4) trains on either the clean or the masked input,
    by a Bernoulli draw per sample. In the paper, the formula gives the clean loss the probability tau, while the text
    calls tau the probability of masking. Here, ``prob`` is the probability of MASKING. ``mode='sum'`` (the challenge
    report, arXiv 2406.04979, Eq. 4) trains on both: the image is not changed, every sample gets a patch mask, and the
    model runs a second pass on the masked, normalised input.

    Required keys: ``img``, ndarray (H, W, C) or a list of T of them.

    Modified keys: ``img`` (a new array; the input array is not changed).

    Added keys, as lists of length T for clips: ``masked`` (bool, whether the image is masked), ``patch_mask`` (bool
    (gh, gw), True = masked; all False for a clean sample) and ``patch_size`` (int).

    Args:
        patch_size (int): Side of a patch in pixels. Defaults to 32.
        mask_ratio (float): Expected share of masked patches, in [0, 1]. Defaults to 0.7.
        prob (float, optional): Probability of masking a sample (image or clip), in [0, 1]. Defaults to None: 0.5 in
            ``mode='switch'``, and 1 in ``mode='sum'``, which allows no other value.
        mode (str): 'switch' or 'sum'. Defaults to 'switch'.
        mean (sequence[float], optional): Values of R, G, B that masked pixels get whatever the model's mean is. A
            warning says if they differ. Defaults to None: the model's mean; without a model that of ImageNet.
        channel_order (str): Order of the channels in ``img``: 'bgr', as loaded by mmcv, or 'rgb'. It is used with
            ``mean`` and without a model. Defaults to 'bgr'.

    Raises:
        ValueError: An argument is out of range, or the input is a single frame of a clip.
    """

    def __init__(self,
                 patch_size: int = 32,
                 mask_ratio: float = 0.7,
                 prob: float | None = None,
                 mode: str = 'switch',
                 mean: Sequence[float] | None = None,
                 channel_order: str = 'bgr') -> None:
        name = type(self).__name__
        if patch_size < 1:
            raise ValueError(f'{name}: patch_size must be at least 1, got {patch_size}')
        if not 0 <= mask_ratio <= 1:
            raise ValueError(f'{name}: mask_ratio must be in [0, 1], got {mask_ratio}')
        if mode not in ('switch', 'sum'):
            raise ValueError(f"{name}: mode must be 'switch' or 'sum', got {mode!r}")
        if mode == 'sum' and prob not in (None, 1):
            raise ValueError(f"{name}: prob={prob} has no meaning in mode='sum', which masks every sample; remove "
                             'prob')
        if prob is not None and not 0 <= prob <= 1:
            raise ValueError(f'{name}: prob must be in [0, 1], got {prob}')
        if channel_order not in ('bgr', 'rgb'):
            raise ValueError(f"{name}: channel_order must be 'bgr' or 'rgb', got {channel_order!r}")
        self.patch_size = patch_size
        self.mask_ratio = mask_ratio
        self.prob = prob if prob is not None else 0.5 if mode == 'switch' else 1.
        self.mode = mode
        self.channel_order = channel_order
        self._fill: tuple[float, ...] | None = None  # in the order of the image's channels, once it is known
        if mean is not None:
            self._fill = self._in_image_order(mean)
            expected = zero_pixel_of_models()
            if expected is not None and not same_pixel(self._fill, expected):
                print_log(f'{name}: masked pixels get mean={list(mean)} of this transform, which is not what the '
                          f'model normalises to 0: {list(expected)} (in the order of the image). Leave out mean to '
                          'follow the model', logger='current', level=logging.WARNING)

    def _in_image_order(self, rgb: Sequence[float]) -> tuple[float, ...]:
        return tuple(rgb) if self.channel_order == 'rgb' else tuple(rgb)[::-1]

    @property
    def fill(self) -> tuple[float, ...]:
        """Value of masked pixels, before rounding, in the order of the image's channels."""
        if self._fill is None:
            self._fill = zero_pixel_of_models()
        return self._in_image_order(IMAGENET_MEAN) if self._fill is None else self._fill

    def __getstate__(self) -> dict:
        """Take the fill along: a worker process that starts afresh has no model."""
        return dict(self.__dict__, _fill=self._fill or zero_pixel_of_models())

    def draw_grids(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """Draw a patch mask, bool (gh, gw), for each frame of a sample."""
        sizes = [(frame.shape[0], frame.shape[1]) for frame in frames]
        return [draw_patch_mask(height, width, self.patch_size, self.mask_ratio) for height, width in sizes]

    def transform(self, results: dict) -> dict:
        is_clip = isinstance(results['img'], (list, tuple))
        if not is_clip and 'video_length' in results:
            raise ValueError(f'{type(self).__name__} needs the whole clip: take it out of TransformBroadcaster')
        frames = list(results['img']) if is_clip else [results['img']]
        grids = self.draw_grids(frames)
        masked = self.mode == 'switch' and np.random.random_sample() < self.prob
        if masked:
            frames = [self._hide(frame, grid) for frame, grid in zip(frames, grids)]
        elif self.mode == 'switch':
            grids = [np.zeros_like(grid) for grid in grids]
        results['img'] = frames if is_clip else frames[0]
        results['masked'] = [masked] * len(frames) if is_clip else masked
        results['patch_mask'] = grids if is_clip else grids[0]
        results['patch_size'] = [self.patch_size] * len(frames) if is_clip else self.patch_size
        return results

    def _hide(self, frame: np.ndarray, grid: np.ndarray) -> np.ndarray:
        fill = np.array(self.fill, dtype=np.float32)
        if np.issubdtype(frame.dtype, np.integer):
            fill = np.rint(fill)
        hidden = expand_patch_mask(grid, self.patch_size, *frame.shape[:2])
        return np.where(hidden[..., None], fill.astype(frame.dtype), frame)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(patch_size={self.patch_size}, mask_ratio={self.mask_ratio}, '
                f'prob={self.prob}, mode={self.mode!r}, channel_order={self.channel_order!r})')
