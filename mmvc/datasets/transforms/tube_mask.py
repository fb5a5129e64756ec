# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
from mmcv.transforms.utils import avoid_cache_randomness

from mmvc.registry import TRANSFORMS
from mmvc.utils.patch_mask import draw_patch_mask

from .random_patch_mask import RandomPatchMask


@TRANSFORMS.register_module()
@avoid_cache_randomness
class TubeMask(RandomPatchMask):
    """Mask the same random patches in all frames of a clip (MVC-2, arXiv 2408.10627, Eq. 5).

    No neighbouring frame shows what is masked in another. Arguments, keys and modes are those of
    :class:`RandomPatchMask`. On a single image both transforms do the same.
    """

    def draw_grids(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """Draw one patch mask, bool (gh, gw), for all frames of a sample."""
        sizes = {frame.shape[:2] for frame in frames}
        if len(sizes) > 1:
            raise ValueError(f'TubeMask: the frames of a clip differ in size: {sorted(sizes)}; put resize '
                             'and crop inside TransformBroadcaster(share_random_params=True)')
        height, width = sizes.pop()
        return [draw_patch_mask(height, width, self.patch_size, self.mask_ratio)] * len(frames)
