# Copyright (c) The mmvc contributors. All rights reserved.
"""DINOv2's resampling of position tables as products of matrices, for exported graphs of any frame size."""

import torch
from torch import Tensor

_A = -0.75  # the cubic kernel of torch.nn.functional.interpolate: Keys, IEEE Trans. ASSP 29(6), 1981


def resample_positions(table: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resample a table as ``F.interpolate(table, scale_factor=..., mode='bicubic')`` does with DINOv2's scales.

    A graph would keep the size of the result of that call, but not its scale. A grid of the table's own size gives the
    table itself.

    Args:
        table (Tensor): Shape (1, C, side, side).
        grid (tuple[int, int]): Rows h and columns w, which may be symbols.

    Returns:
        Tensor: Shape (1, C, h, w).
    """
    side = table.shape[-1]
    sizes = [torch.full((), count, dtype=table.dtype, device=table.device) for count in grid]
    is_whole = (sizes[0] == side) & (sizes[1] == side)
    rows, columns = (
        _bicubic(count, side, torch.where(is_whole, 1., (size + 0.1) / side)) for count, size in zip(grid, sizes))
    return rows @ table @ columns.T


def _bicubic(count: int, side: int, scale: Tensor) -> Tensor:
    """Weights of ``side`` entries for each of ``count`` samples, shape (count, side)."""
    positions = (torch.arange(count, dtype=scale.dtype, device=scale.device) + 0.5) / scale - 0.5
    first = positions.floor()
    share = positions - first
    weights = torch.stack([_outer(share + 1), _inner(share), _inner(1 - share), _outer(2 - share)], dim=1)
    taps = (first[:, None] + torch.arange(-1, 3, device=scale.device)).clamp(0, side - 1)
    is_tap = taps[:, :, None] == torch.arange(side, device=scale.device)
    return (weights[:, :, None] * is_tap).sum(dim=1)


def _inner(x: Tensor) -> Tensor:
    """The kernel at distances up to 1."""
    return ((_A + 2) * x - (_A + 3)) * x * x + 1


def _outer(x: Tensor) -> Tensor:
    """The kernel at distances from 1 to 2."""
    return ((_A * x - 5 * _A) * x + 8 * _A) * x - 4 * _A
