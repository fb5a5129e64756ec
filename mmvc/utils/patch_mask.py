# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np


def draw_patch_mask(height: int, width: int, patch_size: int, mask_ratio: float) -> np.ndarray:
    """Draw a random mask of image patches (MVC, arXiv 2408.10627, Eq. 1).

    A patch is kept if v > ``mask_ratio``, where v ~ U(0, 1) is drawn for each patch. Patches that the right or lower
    border cuts off are treated like the others.

    Args:
        height (int): Image height in pixels.
        width (int): Image width in pixels.
        patch_size (int): Side of a patch in pixels.
        mask_ratio (float): Expected ratio of hidden patches, in [0, 1].

    Returns:
        ndarray: bool (ceil(height / patch_size), ceil(width / patch_size)), True = hidden.
    """
    grid = (-(-height // patch_size), -(-width // patch_size))
    value = 1 - np.random.random_sample(grid)  # in (0, 1], so ratio 0 hides nothing and ratio 1 hides everything
    return value <= mask_ratio


def expand_patch_mask(patch_mask: np.ndarray, patch_size: int, height: int, width: int) -> np.ndarray:
    """Expand a mask of patches to a mask of pixels.

    Args:
        patch_mask (ndarray): bool (gh, gw), True = hidden.
        patch_size (int): Side of a patch in pixels.
        height (int): Image height in pixels, in ((gh - 1) * patch_size, gh * patch_size].
        width (int): Image width in pixels, likewise.

    Returns:
        ndarray: bool (height, width), True = hidden.

    Raises:
        ValueError: The mask does not fit an image of this size.
    """
    grid = (-(-height // patch_size), -(-width // patch_size))
    if patch_mask.shape != grid:
        raise ValueError(f'a {height}x{width} image has {grid} patches of {patch_size} pixels, the mask has '
                         f'{patch_mask.shape}: mask after the last resize or crop')
    return patch_mask.repeat(patch_size, axis=0)[:height].repeat(patch_size, axis=1)[:, :width]
