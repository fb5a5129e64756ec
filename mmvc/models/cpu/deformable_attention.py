# Copyright (c) The mmvc contributors. All rights reserved.
"""The core of multi-scale deformable attention as one weighted gather, for CPU and for deterministic training.

Source: Zhu et al., "Deformable DETR: Deformable Transformers for End-to-End Object Detection", ICLR 2021, Eq. 3.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import cpu_kernels_enabled

_MAX_QUERIES = 2048  # the indices and weights of so many queries fit into the cache


def attend_by_gather(value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Sum one bag of 4 * L * P weighted rows of ``value`` per query and head; samples are never written to memory.

    It also runs on CUDA, where its gradient is the same in every run.

    Args:
        value (Tensor): Projected features of all levels, shape (B, sum(H_l * W_l), heads, D).
        shapes (Sequence[tuple[int, int]]): (H_l, W_l) of each of the L levels.
        locations (Tensor): Positions (x, y) in [0, 1] relative to the level, shape (B, Q, heads, L, P, 2).
        weights (Tensor): Attention weights, shape (B, Q, heads, L, P).

    Returns:
        Tensor: Shape (B, Q, heads * D).
    """
    num_queries, heads, num_levels, num_points = weights.shape[1:]
    # Expanded to every query and head: PyTorch does not vectorise operands that are broadcast over few last entries.
    rows = min(num_queries, _MAX_QUERIES), heads, num_levels, num_points
    level_widths, level_starts = _padded_levels(shapes)
    sizes = locations.new_tensor([(w, h) for h, w in shapes])[:, None].expand(*rows, 2).contiguous()
    widths = locations.new_tensor(level_widths)[:, None].expand(rows).contiguous()
    starts = torch.tensor(level_starts, dtype=torch.int32)[:, None] * heads + torch.arange(
        heads, dtype=torch.int32)[:, None, None]
    starts = starts.to(value.device)
    geometry = sizes, widths, starts.expand(rows).contiguous()
    outputs = []
    for features, *of_one in zip(value, locations, weights):
        features = _pad(features, shapes).flatten(0, 1)
        chunks = zip(*(x.split(_MAX_QUERIES) for x in of_one))
        outputs.append(torch.cat([_gather(features, geometry, *chunk) for chunk in chunks]))
    return torch.stack(outputs)


def _padded_levels(shapes: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Width of every level with its border of zeros, and the position where it starts, see :func:`_pad`."""
    areas = [(h + 3) * (w + 3) for h, w in shapes]
    return [w + 3 for _, w in shapes], [sum(areas[:level]) for level in range(len(areas))]


def _pad(value: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Pad levels (sum(H * W), heads, D) with zeros, one at the front and two at the end of each axis.

    All four neighbours of a position clamped to [-1, size] then exist, so none needs a check of its own.
    """
    padded = value.new_zeros((sum((h + 3) * (w + 3) for h, w in shapes), *value.shape[1:]))
    levels = value.split([h * w for h, w in shapes])
    for level, (h, w), start in zip(levels, shapes, _padded_levels(shapes)[1]):
        target = padded[start:start + (h + 3) * (w + 3)].unflatten(0, (h + 3, w + 3))
        target[1:h + 1, 1:w + 1] = level.unflatten(0, (h, w))
    return padded


def _gather(value: Tensor, geometry: tuple[Tensor, Tensor, Tensor], locations: Tensor, weights: Tensor) -> Tensor:
    """Attend for one batch element: locations (Q, heads, L, P, 2), weights (Q, heads, L, P) -> (Q, heads * D)."""
    num_queries, heads = weights.shape[:2]
    sizes, widths, starts = (x[:num_queries] for x in geometry)
    positions = torch.minimum((locations * sizes + 0.5).clamp(min=0), sizes + 1)  # in the padded levels
    low = positions.detach().floor()
    share = positions - low
    low.nan_to_num_(0)  # NaN of a diverging training cannot be an index; it stays visible in the weights
    row = torch.addcmul(low[..., 0], low[..., 1], widths).int().mul_(heads).add_(starts)
    below = (widths * heads).int()
    rows = torch.stack((row, row + heads, row + below, row + below + heads), dim=2)  # (Q, heads, 4, L, P)

    across, down = share[..., 0], share[..., 1]
    lower = down * weights
    upper = weights - lower
    lower_right, upper_right = lower * across, upper * across
    corners = torch.stack((upper - upper_right, upper_right, lower - lower_right, lower_right), dim=2)
    bags = num_queries * heads
    output = F.embedding_bag(rows.view(bags, -1), value, mode='sum', per_sample_weights=corners.view(bags, -1))
    return output.view(num_queries, -1)


def softmax_over_few(logits: Tensor) -> Tensor:
    """Softmax over a short last dimension. PyTorch's own on CPU is made for long ones: five times slower for twelve.

    Args:
        logits (Tensor): Shape (..., n).

    Returns:
        Tensor: Shape (..., n).
    """
    if logits.device.type != 'cpu' or not cpu_kernels_enabled():
        return logits.softmax(-1)
    shares = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    return shares / shares.sum(-1, keepdim=True)
