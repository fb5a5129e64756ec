# Copyright (c) The mmvc contributors. All rights reserved.
"""The pixel decoder of Mask2Former.

Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022, Sec. 3.2.
"""

from typing import Any

import torch
from mmdet.models.layers import MSDeformAttnPixelDecoder as _MSDeformAttnPixelDecoder, SinePositionalEncoding
from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
from mmdet.utils import ConfigType
from torch import Tensor

from mmvc.registry import MODELS

from ..cpu.chunking import ChunkedFFN
from ..layers.multi_scale_deformable_attention import MultiScaleDeformableAttention


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
