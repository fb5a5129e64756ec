# Copyright (c) The mmvc contributors. All rights reserved.
"""The pixel decoder of Mask2Former.

Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022, Sec. 3.2.
"""

from typing import Any

from mmdet.models.layers import MSDeformAttnPixelDecoder as _MSDeformAttnPixelDecoder, SinePositionalEncoding
from mmdet.utils import ConfigType
from torch import Tensor

from mmvc.registry import MODELS

from ..layers.multi_scale_deformable_attention import MultiScaleDeformableAttention
from ..layers.piecewise_ffn import PiecewiseFFN


@MODELS.register_module()
class MSDeformAttnPixelDecoder(_MSDeformAttnPixelDecoder):
    """mmdet's pixel decoder with a deformable attention that needs no compiled op.

    Arguments and state dict are those of :class:`mmdet.models.layers.MSDeformAttnPixelDecoder`.
    """

    def __init__(self,
                 *args: Any,
                 positional_encoding: ConfigType = dict(num_feats=128, normalize=True),
                 **kwargs: Any) -> None:
        super().__init__(*args, positional_encoding=positional_encoding, **kwargs)
        self.postional_encoding = _UnpaddedPositionalEncoding(**positional_encoding)  # mmdet's spelling
        for layer in self.encoder.layers:  # mmdet's layer names mmcv's classes instead of asking a registry
            layer.self_attn = MultiScaleDeformableAttention(**layer.self_attn_cfg)
            layer.ffn = PiecewiseFFN(**layer.ffn_cfg)


class _UnpaddedPositionalEncoding(SinePositionalEncoding):
    """Counts positions by their index: mmdet's sum over a mask without padding has no deterministic form on CUDA."""

    def forward(self, no_padding: Tensor) -> Tensor:
        """Encodings (B, 2 * num_feats, h, w) for a mask (B, h, w) that is False everywhere."""
        return super().forward(None, input=no_padding[:, None])
