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

from ..cpu import cpu_kernels_enabled
from ..cpu.deformable_attention import attend_by_gather, softmax_over_few


def multi_scale_deformable_attn(value: Tensor, spatial_shapes: Tensor | Sequence[tuple[int, int]],
                                sampling_locations: Tensor, attention_weights: Tensor) -> Tensor:
    """Sample every level at fractional positions and sum the samples by their weights (Eq. 3 without projections).

    Samples are bilinear; positions outside of a level count as zero. On CPU, and with
    ``torch.use_deterministic_algorithms``, all levels are one weighted gather. Otherwise there is a grid sample per
    level, whose gradient on CUDA differs from run to run.

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
    dtype = _dtype_of_samples(value, sampling_locations)
    gathers = (value.device.type == 'cpu' and cpu_kernels_enabled()) or torch.are_deterministic_algorithms_enabled()
    attend = attend_by_gather if gathers else _attend_by_grid_sample
    output = attend(value.to(dtype), shapes, sampling_locations.to(dtype), attention_weights.to(dtype))
    return output.to(value.dtype)


def _dtype_of_samples(value: Tensor, locations: Tensor) -> torch.dtype:
    """The dtype to sample in: that of positions if it is finer.

    Half precision is too coarse for them: the 8 bits of bfloat16 merge neighbouring pixels of a 300-pixel row.
    """
    return torch.promote_types(value.dtype, locations.dtype)


def _attend_by_grid_sample(value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor,
                           weights: Tensor) -> Tensor:
    """Sum level after level: the largest temporary tensor holds the samples of one level only."""
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


@MODELS.register_module()
class MultiScaleDeformableAttention(_MultiScaleDeformableAttention):
    """mmcv's module of the same name; it also runs if mmcv has no compiled extension.

    Arguments, parameters and initialisation are mmcv's. On CUDA it uses mmcv's compiled function if there is one. In
    all other cases, and with ``torch.use_deterministic_algorithms``, it uses :func:`multi_scale_deformable_attn`.
    """

    def forward(self,
                query: Tensor,
                key: Tensor | None = None,
                value: Tensor | None = None,
                identity: Tensor | None = None,
                query_pos: Tensor | None = None,
                key_padding_mask: Tensor | None = None,
                reference_points: Tensor = None,  # type: ignore[assignment]  # mmcv's order; every caller gives it
                spatial_shapes: Tensor | Sequence[tuple[int, int]] = None,  # type: ignore[assignment]  # likewise
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
            spatial_shapes (Tensor | Sequence[tuple[int, int]]): (H, W) of each of the L levels. Exported graphs need
                the numbers, and the compiled function the int64 tensor (L, 2).
            level_start_index (Tensor, optional): First index of each level in ``value``, shape (L,). Only the compiled
                function reads it.
            **kwargs: Not used. mmdet passes the same arguments to every attention.

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
        # on CUDA, the only synchronisation
        shapes = spatial_shapes.tolist() if isinstance(spatial_shapes, Tensor) else spatial_shapes
        if sum(h * w for h, w in shapes) != num_values:
            raise ValueError(f'spatial_shapes {shapes} do not add up to the {num_values} positions of value')

        value = self.value_proj(value)
        if key_padding_mask is not None and (key_padding_mask.is_cuda or key_padding_mask.any()):  # no CUDA sync
            value = value.masked_fill(key_padding_mask.unsqueeze(-1), 0.)
        value = value.view(batch, num_values, self.num_heads, -1)
        samples = (batch, num_queries, self.num_heads, self.num_levels, self.num_points)
        offsets = self.sampling_offsets(query).view(*samples, 2)
        weights = softmax_over_few(self.attention_weights(query).view(*samples[:3], -1)).view(samples)
        locations = self._sampling_locations(reference_points, offsets, spatial_shapes)

        # the compiled function casts positions to the dtype of the value, and has no bfloat16
        dtype = _dtype_of_samples(value, locations)
        if (value.is_cuda and isinstance(spatial_shapes, Tensor) and dtype != torch.bfloat16 and has_compiled_ops()
                and not torch.are_deterministic_algorithms_enabled()):
            # the compiled function splits the batch into equal steps
            step = batch if batch <= self.im2col_step else math.gcd(batch, self.im2col_step)
            output = MultiScaleDeformableAttnFunction.apply(
                value.to(dtype), spatial_shapes, level_start_index, locations.to(dtype), weights.to(dtype), step)
            output = output.to(value.dtype)
        else:
            output = multi_scale_deformable_attn(value, shapes, locations, weights)

        output = self.output_proj(output)
        if not self.batch_first:
            output = output.transpose(0, 1)
        return self.dropout(output) + identity

    def _sampling_locations(self, reference_points: Tensor, offsets: Tensor,
                            spatial_shapes: Tensor | Sequence[tuple[int, int]]) -> Tensor:
        """Reference points plus offsets, relative to each level; the shape of ``offsets``, (B, Q, heads, L, P, 2)."""
        references = reference_points[:, :, None, :, None]
        if reference_points.shape[-1] == 2:  # offsets are in pixels of their level
            # expanded to every point: PyTorch does not vectorise an addition that is broadcast over 2 entries
            references = references.expand(-1, -1, -1, -1, self.num_points, -1).contiguous()
            if not isinstance(spatial_shapes, Tensor):
                spatial_shapes = torch.tensor(spatial_shapes, device=offsets.device)
            sizes = spatial_shapes.flip(-1).to(offsets.dtype)[:, None].expand(*offsets.shape[2:]).contiguous()
            return references + offsets / sizes
        if reference_points.shape[-1] == 4:  # offsets are in half boxes, divided by the number of points
            return references[..., :2] + offsets / self.num_points * references[..., 2:] * 0.5
        raise ValueError('the last dimension of reference_points must be 2 (points) or 4 (boxes), got '
                         f'{reference_points.shape[-1]}')
