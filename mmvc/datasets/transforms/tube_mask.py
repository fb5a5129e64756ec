# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
from mmcv.transforms.utils import avoid_cache_randomness

from mmvc.registry import TRANSFORMS
from mmvc.utils.patch_mask import draw_patch_mask

from .random_patch_mask import RandomPatchMask


@TRANSFORMS.register_module()
@avoid_cache_randomness
class TubeMask(RandomPatchMask):
    """Hide the same random patches in all frames of a clip (MVC-2, arXiv 2408.10627, Eq. 5).

    A neighbouring frame then cannot show what this one hides. Arguments, keys and modes as in
    :class:`RandomPatchMask`; on a single image the two are the same.
    """

    def draw_grids(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """Patch masks, bool (gh, gw), of the frames of a sample: one draw for all of them."""
        sizes = {frame.shape[:2] for frame in frames}
        if len(sizes) > 1:
            raise ValueError(f'TubeMask: the frames of a clip differ in size: {sorted(sizes)}; share resize and crop')
        height, width = sizes.pop()
        return [draw_patch_mask(height, width, self.patch_size, self.mask_ratio)] * len(frames)
