# Copyright (c) The mmvc contributors. All rights reserved.
"""The pixel decoder of Mask2Former.

Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022, Sec. 3.2.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.layers import MSDeformAttnPixelDecoder as _MSDeformAttnPixelDecoder, SinePositionalEncoding
from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
from mmdet.utils import ConfigType
from torch import Tensor

from mmvc.registry import MODELS

from ..cpu.chunking import ChunkedFFN
from ..layers.multi_scale_deformable_attention import MultiScaleDeformableAttention
from ..layers.pixel_centres import pixel_centres
from ..utils.exporting import is_exporting


@MODELS.register_module()
class MSDeformAttnPixelDecoder(_MSDeformAttnPixelDecoder):
    """mmdet's pixel decoder, with a deformable attention that needs no compiled op.

    Arguments and state dict are those of :class:`mmdet.models.layers.MSDeformAttnPixelDecoder`.
    """

    point_generator: MlvlPointGenerator

    def __init__(self,
                 *args: Any,
                 positional_encoding: ConfigType = dict(num_feats=128, normalize=True),
                 **kwargs: Any) -> None:
        super().__init__(*args, positional_encoding=positional_encoding, **kwargs)
        self.postional_encoding = _UnpaddedPositionalEncoding(**positional_encoding)  # mmdet's spelling
        self.point_generator = _PointGenerator(self.point_generator.strides)
        for layer in self.encoder.layers:  # mmdet's layer builds mmcv's classes, not those of a registry
            layer.self_attn = MultiScaleDeformableAttention(**layer.self_attn_cfg)
            layer.ffn = ChunkedFFN(**layer.ffn_cfg)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Compute mask features and the features that queries attend to.

        Args:
            feats (Sequence[Tensor]): Feature maps of N frames from high to low resolution.

        Returns:
            tuple[Tensor, list[Tensor]]: Mask features (N, c, h, w), and features from low to high resolution.
        """
        return self._forward_any_size(feats) if is_exporting() else super().forward(feats)

    def _forward_any_size(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The same with sizes as numbers and not as tensors, so that an exported graph takes frames of any size."""
        tokens, positions, references, shapes = [], [], [], []
        levels = range(self.num_input_levels - 1, self.num_input_levels - 1 - self.num_encoder_levels, -1)
        for i, level in enumerate(levels):
            feat = feats[level]
            height, width = feat.shape[-2:]
            no_padding = feat.new_zeros((1, height, width), dtype=torch.bool)
            encoding = self.postional_encoding(no_padding) + self.level_encoding.weight[i][:, None, None]
            tokens.append(self.input_convs[i](feat).flatten(2).transpose(1, 2))
            positions.append(encoding.flatten(2).transpose(1, 2))
            references.append(pixel_centres(height, width, feat.device))
            shapes.append((height, width))
        batch = len(feats[0])
        memory = self.encoder(
            query=torch.cat(tokens, dim=1),
            query_pos=torch.cat(positions, dim=1),
            key_padding_mask=None,
            spatial_shapes=shapes,
            reference_points=torch.cat(references)[None, :, None].expand(batch, -1, self.num_encoder_levels, -1),
            level_start_index=None,
            valid_ratios=None)
        parts = memory.transpose(1, 2).split([height * width for height, width in shapes], dim=-1)
        outputs = [part.reshape(batch, -1, height, width) for part, (height, width) in zip(parts, shapes)]
        for i in range(self.num_input_levels - self.num_encoder_levels - 1, -1, -1):
            lateral = self.lateral_convs[i](feats[i])
            upper = F.interpolate(outputs[-1], lateral.shape[-2:], mode='bilinear', align_corners=False)
            outputs.append(self.output_convs[i](lateral + upper))
        return self.mask_feature(outputs[-1]), outputs[:self.num_outs]


class _PointGenerator(MlvlPointGenerator):
    """Names the order of the axes, which mmdet leaves to the default of torch, with a warning."""

    def _meshgrid(self, x: Tensor, y: Tensor, row_major: bool = True) -> tuple[Tensor, Tensor]:
        """Coordinates x and y (or y and x) of all points of a grid, row by row: two tensors, shape (N, )."""
        columns, rows = torch.meshgrid(x, y, indexing='xy')
        first, second = (columns, rows) if row_major else (rows, columns)
        return first.reshape(-1), second.reshape(-1)


class _UnpaddedPositionalEncoding(SinePositionalEncoding):
    """Takes positions from indices: mmdet sums over a mask without padding, which is not deterministic on CUDA."""

    def forward(self, no_padding: Tensor) -> Tensor:
        """Encode the positions of a mask (B, h, w) that is False everywhere: shape (B, 2 * num_feats, h, w)."""
        return super().forward(None, input=no_padding[:, None])
