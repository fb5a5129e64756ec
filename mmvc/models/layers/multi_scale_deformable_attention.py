# Copyright (c) The mmvc contributors. All rights reserved.
"""Multi-scale deformable attention that needs no compiled op.

Source: Zhu et al., "Deformable DETR: Deformable Transformers for End-to-End Object Detection", ICLR 2021, Eq. 3.
"""

import math
from typing import Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmcv.ops import MultiScaleDeformableAttention as _MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction
from torch import Tensor

from mmvc.registry import MODELS
from mmvc.utils.compiled_ops import has_compiled_ops

_QUERIES_AT_ONCE = 2048  # on CPU: so that the indices and weights of a piece stay in the cache


def multi_scale_deformable_attn(value: Tensor, spatial_shapes: Union[Tensor, Sequence[Tuple[int, int]]],
                                sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
    """Sample every level at fractional positions and sum the samples by their weights (Eq. 3 without projections).

    Samples are bilinear; what lies outside a level is zero. On CPU all of it is one weighted gather, on other devices
    a grid sample per level.

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
    attend = _attend_by_gather if value.device.type == 'cpu' else _attend_by_grid_sample
    output = attend(value.to(dtype), shapes, sampling_locations.to(dtype), attention_weights.to(dtype))
    return output.to(value.dtype)


def _attend_by_gather(value: Tensor, shapes: Sequence[Tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """One bag of 4 * L * P weighted rows of ``value`` per query and head; no sample is ever written to memory."""
    outputs = []
    for of_one in zip(value, locations, weights):
        pieces = zip(*(x.split(_QUERIES_AT_ONCE) for x in of_one[1:]))
        outputs.append(torch.cat([_gather(of_one[0], shapes, *piece) for piece in pieces]))
    return torch.stack(outputs)


def _gather(value: Tensor, shapes: Sequence[Tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Queries (Q, heads, L, P, 2) of one batch element with the weights (Q, heads, L, P): shape (Q, heads * D)."""
    num_queries, heads, num_levels, num_points = weights.shape
    bags, samples = num_queries * heads, num_levels * num_points
    sizes = locations.new_tensor([(w, h) for h, w in shapes]).repeat_interleave(num_points, dim=0)  # (samples, 2)
    starts = locations.new_tensor([0, *(h * w for h, w in shapes[:-1])]).cumsum(0).repeat_interleave(num_points)
    positions, weights = locations.reshape(bags, samples, 2), weights.reshape(bags, samples)
    (left, right), across = _neighbours(positions[..., 0], sizes[:, 0])
    (top, bottom), down = _neighbours(positions[..., 1], sizes[:, 1])

    rows = torch.empty((bags, 4, samples), dtype=torch.int32)
    for corner, (y, x) in enumerate(((top, left), (top, right), (bottom, left), (bottom, right))):
        rows[:, corner] = torch.addcmul(starts, y, sizes[:, 0]).add_(x)
    head = torch.arange(heads, dtype=torch.int32).repeat(num_queries)
    rows.mul_(heads).add_(head[:, None, None])
    corner_weights = torch.stack([y * x for y in (down[0] * weights, down[1] * weights) for x in across], dim=1)
    output = F.embedding_bag(
        rows.view(bags, -1), value.flatten(0, 1), mode='sum', per_sample_weights=corner_weights.view(bags, -1))
    return output.view(num_queries, -1)


def _neighbours(position: Tensor, size: Tensor) -> Tuple[Tuple[Tensor, Tensor], Tuple[Tensor, Tensor]]:
    """The two pixels next to relative positions along one axis, inside of the level, and their bilinear weights."""
    position = position * size - 0.5
    low = position.detach().floor()
    high, last, share = low + 1, size - 1, position - low
    weights = ((1 - share).masked_fill((low < 0) | (low > last), 0.),
               share.masked_fill((high < 0) | (high > last), 0.))
    zero = size.new_zeros(())
    # fmin and fmax drop NaN, which an exploding training brings and which is no index
    return (low.fmax(zero).fmin(last), high.fmax(zero).fmin(last)), weights


def _attend_by_grid_sample(value: Tensor, shapes: Sequence[Tuple[int, int]], locations: Tensor,
                           weights: Tensor) -> Tensor:
    """Levels are accumulated one after another: the largest temporary holds the samples of one level only."""
    batch, _, heads, dim = value.shape
    num_queries, num_points = locations.shape[1], locations.shape[4]
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5)  # (L, B, heads, Q, P, 2)
    weights = weights.permute(3, 0, 2, 1, 4)  # (L, B, heads, Q, P)
    output: Union[Tensor, float] = 0.
    levels = value.split([h * w for h, w in shapes], dim=1)
    for level, (h, w), grid, weight in zip(levels, shapes, grids, weights):
        feature = level.permute(0, 2, 3, 1).reshape(batch * heads, dim, h, w)
        samples = F.grid_sample(
            feature, grid.flatten(0, 1), mode='bilinear', padding_mode='zeros', align_corners=False)
        weight = weight.reshape(batch * heads, 1, num_queries, num_points)
        output = output + (samples * weight).sum(-1)  # (B * heads, D, Q)
    return output.view(batch, heads * dim, num_queries).transpose(1, 2)


@MODELS.register_module()
class MultiScaleDeformableAttention(_MultiScaleDeformableAttention):
    """mmcv's module of the same name, whose core also runs where mmcv has no compiled extension.

    Arguments, parameters and initialisation are mmcv's. On CUDA the compiled function is used where there is one;
    otherwise, and on every other device, :func:`multi_scale_deformable_attn`.
    """

    def forward(self,
                query: Tensor,
                key: Optional[Tensor] = None,
                value: Optional[Tensor] = None,
                identity: Optional[Tensor] = None,
                query_pos: Optional[Tensor] = None,
                key_padding_mask: Optional[Tensor] = None,
                reference_points: Optional[Tensor] = None,
                spatial_shapes: Optional[Tensor] = None,
                level_start_index: Optional[Tensor] = None,
                **kwargs) -> Tensor:
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
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask.unsqueeze(-1), 0.)
        value = value.view(batch, num_values, self.num_heads, -1)
        samples = (batch, num_queries, self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).view(*samples, 2)
        weights = self.attention_weights(query).view(*samples[:3], -1).softmax(-1).view(samples)
        locations = self._sampling_locations(reference_points, offsets, spatial_shapes)

        if value.is_cuda and value.dtype != torch.bfloat16 and has_compiled_ops():
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
            return references + offsets / spatial_shapes.flip(-1)[:, None]
        if reference_points.shape[-1] == 4:  # offsets are in halves of the box, divided among the points
            return references[..., :2] + offsets / self.num_points * references[..., 2:] * 0.5
        raise ValueError('reference_points must end in 2 (points) or 4 (boxes) numbers, '
                         f'not {reference_points.shape[-1]}')
