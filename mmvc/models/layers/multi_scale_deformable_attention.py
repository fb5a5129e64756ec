# Copyright (c) The mmvc contributors. All rights reserved.
"""Multi-scale deformable attention that needs no compiled op.

Source: Zhu et al., "Deformable DETR: Deformable Transformers for End-to-End Object Detection", ICLR 2021, Eq. 3.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.ops import MultiScaleDeformableAttention as _MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from torch import Tensor

from mmvc.registry import MODELS
from mmvc.utils.compiled_ops import has_compiled_ops

_QUERIES_AT_ONCE = 2048  # on CPU: so that the indices and weights of a piece stay in the cache


def multi_scale_deformable_attn(value: Tensor, spatial_shapes: Tensor | Sequence[tuple[int, int]],
                                sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
    """Sample every level at fractional positions and sum the samples by their weights (Eq. 3 without projections).

    Samples are bilinear; what lies outside a level is zero. On CPU, and where deterministic algorithms are asked for
    (``torch.use_deterministic_algorithms``), all of it is one weighted gather, elsewhere a grid sample per level. The
    gradient of the latter differs from run to run.

    Args:
        value (Tensor): Projected features of all levels, one level after another, shape (B, sum(H_l * W_l), heads, D).
        spatial_shapes (Tensor | Sequence[tuple[int, int]]): (H_l, W_l) of each of the L levels.
        sampling_locations (Tensor): Positions (x, y) relative to the level, 0 its left or top edge and 1 its right or
            bottom edge, shape (B, Q, heads, L, P, 2).
        attention_weights (Tensor): Weights summing to 1 over (L, P), shape (B, Q, heads, L, P).

    Returns:
        Tensor: Shape (B, Q, heads * D), the dtype of ``value``.
    """
    shapes = spatial_shapes.tolist() if isinstance(spatial_shapes, Tensor) else spatial_shapes
    # half precision is too coarse for positions: 8 bits of bfloat16 cannot tell the pixels of a 300-pixel row apart
    dtype = torch.promote_types(value.dtype, sampling_locations.dtype)
    gathers = value.device.type == 'cpu' or torch.are_deterministic_algorithms_enabled()
    attend = _attend_by_gather if gathers else _attend_by_grid_sample
    output = attend(value.to(dtype), shapes, sampling_locations.to(dtype), attention_weights.to(dtype))
    return output.to(value.dtype)


def _attend_by_gather(value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """One bag of 4 * L * P weighted rows of ``value`` per query and head; no sample is ever written to memory."""
    num_queries, heads, num_levels, num_points = weights.shape[1:]
    # Written out for every query and head: an operand that is broadcast over its last few entries is not vectorised.
    rows = min(num_queries, _QUERIES_AT_ONCE), heads, num_levels, num_points
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
        pieces = zip(*(x.split(_QUERIES_AT_ONCE) for x in of_one))
        outputs.append(torch.cat([_gather(features, geometry, *piece) for piece in pieces]))
    return torch.stack(outputs)


def _padded_levels(shapes: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Width of every level with its frame of zeros, and the position at which it starts, see :func:`_pad`."""
    areas = [(h + 3) * (w + 3) for h, w in shapes]
    return [w + 3 for _, w in shapes], [sum(areas[:level]) for level in range(len(areas))]


def _pad(value: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """Frame levels (sum(H * W), heads, D) with zeros, one at the front and two at the end of each axis.

    A position that was cut to [-1, size] has all its four neighbours there: none needs to be looked at one by one.
    """
    padded = value.new_zeros((sum((h + 3) * (w + 3) for h, w in shapes), *value.shape[1:]))
    levels = value.split([h * w for h, w in shapes])
    for level, (h, w), start in zip(levels, shapes, _padded_levels(shapes)[1]):
        framed = padded[start:start + (h + 3) * (w + 3)].unflatten(0, (h + 3, w + 3))
        framed[1:h + 1, 1:w + 1] = level.unflatten(0, (h, w))
    return padded


def _gather(value: Tensor, geometry: tuple[Tensor, Tensor, Tensor], locations: Tensor, weights: Tensor) -> Tensor:
    """Queries (Q, heads, L, P, 2) of one batch element with the weights (Q, heads, L, P): shape (Q, heads * D)."""
    num_queries, heads = weights.shape[:2]
    sizes, widths, starts = (x[:num_queries] for x in geometry)
    positions = torch.minimum((locations * sizes + 0.5).clamp(min=0), sizes + 1)  # in the framed levels
    low = positions.detach().floor()
    share = positions - low
    low.nan_to_num_(0)  # an exploding training brings NaN, which is no index; it stays in the weights
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


def _attend_by_grid_sample(value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor,
                           weights: Tensor) -> Tensor:
    """Levels are accumulated one after another: the largest temporary holds the samples of one level only."""
    batch, _, heads, dim = value.shape
    num_queries, num_points = locations.shape[1], locations.shape[4]
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5)  # (L, B, heads, Q, P, 2)
    weights = weights.permute(3, 0, 2, 1, 4)  # (L, B, heads, Q, P)
    output: Any = 0.
    levels = value.split([h * w for h, w in shapes], dim=1)
    for level, (h, w), grid, weight in zip(levels, shapes, grids, weights):
        feature = level.permute(0, 2, 3, 1).reshape(batch * heads, dim, h, w)
        samples = F.grid_sample(
            feature, grid.flatten(0, 1), mode='bilinear', padding_mode='zeros', align_corners=False)
        weight = weight.reshape(batch * heads, 1, num_queries, num_points)
        output = output + (samples * weight).sum(-1)  # (B * heads, D, Q)
    return output.view(batch, heads * dim, num_queries).transpose(1, 2)


def _softmax_over_few(logits: Tensor) -> Tensor:
    """Softmax over the last dimension. PyTorch's on CPU is made for long ones, and five times slower over twelve."""
    if logits.device.type != 'cpu':
        return logits.softmax(-1)
    shares = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    return shares / shares.sum(-1, keepdim=True)


@MODELS.register_module()
class MultiScaleDeformableAttention(_MultiScaleDeformableAttention):
    """mmcv's module of the same name, whose core also runs where mmcv has no compiled extension.

    Arguments, parameters and initialisation are mmcv's. On CUDA the compiled function is used where there is one;
    otherwise, on every other device, and where deterministic algorithms are asked for,
    :func:`multi_scale_deformable_attn`.
    """

    def forward(self,
                query: Tensor,
                key: Tensor | None = None,
                value: Tensor | None = None,
                identity: Tensor | None = None,
                query_pos: Tensor | None = None,
                key_padding_mask: Tensor | None = None,
                reference_points: Tensor = None,  # type: ignore[assignment]  # mmcv's order, but always given
                spatial_shapes: Tensor = None,  # type: ignore[assignment]  # likewise
                level_start_index: Tensor | None = None,
                **kwargs: Any) -> Tensor:
        """Attend to a few sampled positions of every level around each reference point.

        Args:
            query (Tensor): Shape (B, Q, C), or (Q, B, C) unless ``batch_first``.
            key (Tensor, optional): Not used: the weights come from the query alone.
            value (Tensor, optional): Features of all levels, shape (B, V, C), or (V, B, C) unless ``batch_first``.
                Defaults to ``query``.
            identity (Tensor, optional): Added to the result, shape of ``query``. Defaults to ``query``.
            query_pos (Tensor, optional): Positional encoding, added to ``query``.
            key_padding_mask (Tensor, optional): True where a value is padding, bool, shape (B, V).
            reference_points (Tensor): (x, y) in [0, 1] or boxes (cx, cy, w, h), shape (B, Q, L, 2) or (B, Q, L, 4).
            spatial_shapes (Tensor): (H, W) of each level, int64, shape (L, 2).
            level_start_index (Tensor, optional): First index of each level in ``value``, shape (L,). Only the compiled
                function reads it.
            **kwargs: Not used: what mmdet hands to every attention.

        Returns:
            Tensor: Shape of ``query``.

        Raises:
            ValueError: If the levels do not add up to the length of ``value``, or ``reference_points`` are neither
                points nor boxes.
        """
        value = query if value is None else value
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        if not self.batch_first:
            query, value = query.transpose(0, 1), value.transpose(0, 1)

        batch, num_queries, _ = query.shape
        num_values = value.shape[1]
        shapes = spatial_shapes.tolist()  # on CUDA, the only wait for the device
        if sum(h * w for h, w in shapes) != num_values:
            raise ValueError(f'spatial_shapes {shapes} do not add up to the {num_values} positions of value')

        value = self.value_proj(value)
        if key_padding_mask is not None and (key_padding_mask.is_cuda or key_padding_mask.any()):  # no wait for CUDA
            value = value.masked_fill(key_padding_mask.unsqueeze(-1), 0.)
        value = value.view(batch, num_values, self.num_heads, -1)
        samples = (batch, num_queries, self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).view(*samples, 2)
        weights = _softmax_over_few(self.attention_weights(query).view(*samples[:3], -1)).view(samples)
        locations = self._sampling_locations(reference_points, offsets, spatial_shapes)

        if (value.is_cuda and value.dtype != torch.bfloat16 and has_compiled_ops()
                and not torch.are_deterministic_algorithms_enabled()):
            # the compiled function takes the batch in equal steps
            step = batch if batch <= self.im2col_step else math.gcd(batch, self.im2col_step)
            output = MultiScaleDeformableAttnFunction.apply(value, spatial_shapes, level_start_index, locations,
                                                            weights, step)
        else:
            output = multi_scale_deformable_attn(value, shapes, locations, weights)

        output = self.output_proj(output)
        if not self.batch_first:
            output = output.transpose(0, 1)
        return self.dropout(output) + identity

    def _sampling_locations(self, reference_points: Tensor, offsets: Tensor, spatial_shapes: Tensor) -> Tensor:
        """Reference points plus offsets, relative to each level; the shape of ``offsets``, (B, Q, heads, L, P, 2)."""
        references = reference_points[:, :, None, :, None]
        if reference_points.shape[-1] == 2:  # offsets are in pixels of their level
            # written out for every point, since an addition that is broadcast over 2 entries is not vectorised
            references = references.expand(-1, -1, -1, -1, self.num_points, -1).contiguous()
            sizes = spatial_shapes.flip(-1).to(offsets.dtype)[:, None].expand(*offsets.shape[2:]).contiguous()
            return references + offsets / sizes
        if reference_points.shape[-1] == 4:  # offsets are in halves of the box, divided among the points
            return references[..., :2] + offsets / self.num_points * references[..., 2:] * 0.5
        raise ValueError('reference_points must end in 2 (points) or 4 (boxes) numbers, '
                         f'not {reference_points.shape[-1]}')
