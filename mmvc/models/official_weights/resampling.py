# Copyright (c) The mmvc contributors. All rights reserved.
"""Another patch size and another table of positions for a pretrained vision transformer, as timm makes them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def resample_patch_kernel(kernel: Tensor, patch_size: int) -> Tensor:
    """Resample the kernels of a patch embedding, so that a resized patch gives the embedding of the original one.

    Resizing a patch is a linear map B. The new kernel w' is the least-squares solution of <B x, w'> = <x, w> for all
    patches x, that is the pseudo-inverse of B^T times w; for larger patches the equation holds exactly. B is bicubic
    resizing with antialiasing. Source: Beyer et al., "FlexiViT: One Model for All Patch Sizes", CVPR 2023, Equation 4.

    Args:
        kernel (Tensor): Shape (C, 3, P, P).
        patch_size (int): The new P.

    Returns:
        Tensor: Shape (C, 3, patch_size, patch_size), of the same type.
    """
    old = kernel.shape[-1]
    if old == patch_size:
        return kernel
    pixels = torch.eye(old * old, dtype=torch.float64).view(-1, 1, old, old)
    # row i: pixel i of a patch, resized; this is B^T
    resized = F.interpolate(pixels, size=(patch_size, patch_size), mode='bicubic', antialias=True).flatten(1)
    resampled = kernel.double().flatten(2) @ torch.linalg.pinv(resized).T
    return resampled.unflatten(-1, (patch_size, patch_size)).to(kernel.dtype)


def table_side(table: Tensor) -> int | None:
    """Side of a square table of positions, shape (1, N, C); None if N is not the square of a whole number."""
    side = math.isqrt(table.shape[1])
    return side if side * side == table.shape[1] else None


def resample_position_table(table: Tensor, side: int) -> Tensor:
    """Resample a square table of positions bicubically with antialiasing, in float32.

    Args:
        table (Tensor): Shape (1, N, C), N a square; patches only.
        side (int): The new side.

    Returns:
        Tensor: Shape (1, side * side, C), of the same type.
    """
    old = math.isqrt(table.shape[1])
    if old == side:
        return table
    grid = table.float().transpose(1, 2).unflatten(-1, (old, old))
    grid = F.interpolate(grid, size=(side, side), mode='bicubic', antialias=True)
    return grid.flatten(2).transpose(1, 2).to(table.dtype)
