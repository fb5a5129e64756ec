# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import avoid_cache_randomness

from mmvc.registry import TRANSFORMS
from mmvc.utils.patch_mask import IMAGENET_MEAN, draw_patch_mask, expand_patch_mask


@TRANSFORMS.register_module()
@avoid_cache_randomness
class RandomPatchMask(BaseTransform):
    """Mask random patches of an image, or of each frame of a clip on its own (MVC-1, arXiv 2408.10627, Eq. 1-4).

    Masked pixels get the dataset mean, rounded for integer images. After normalisation by the data preprocessor they
    are zero (to 0.01 with ImageNet's statistics). The ground truth is not masked.

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
        mean (sequence[float]): Mean of the channels R, G, B as in the data preprocessor. Defaults to ImageNet's.
        channel_order (str): Order of the channels in ``img``: 'bgr', as loaded by mmcv, or 'rgb'. Defaults to 'bgr'.

    Raises:
        ValueError: An argument is out of range, or the input is a single frame of a clip.
    """

    def __init__(self,
                 patch_size: int = 32,
                 mask_ratio: float = 0.7,
                 prob: float | None = None,
                 mode: str = 'switch',
                 mean: Sequence[float] = IMAGENET_MEAN,
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
        self.mean = np.array(mean if channel_order == 'rgb' else mean[::-1], dtype=np.float32)

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
        fill = np.rint(self.mean) if np.issubdtype(frame.dtype, np.integer) else self.mean
        hidden = expand_patch_mask(grid, self.patch_size, *frame.shape[:2])
        return np.where(hidden[..., None], fill.astype(frame.dtype), frame)

    def __repr__(self) -> str:
        return (f'{self.__class__.__name__}(patch_size={self.patch_size}, mask_ratio={self.mask_ratio}, '
                f'prob={self.prob}, mode={self.mode!r}, channel_order={self.channel_order!r})')
