# Copyright (c) The mmvc contributors. All rights reserved.
"""The pixel decoder of Mask2Former.

Source: Cheng et al., "Masked-attention Mask Transformer for Universal Image Segmentation", CVPR 2022, Sec. 3.2.
"""

from typing import Any

from mmdet.models.layers import MSDeformAttnPixelDecoder as _MSDeformAttnPixelDecoder

from mmvc.registry import MODELS

from ..layers.multi_scale_deformable_attention import MultiScaleDeformableAttention
from ..layers.piecewise_ffn import PiecewiseFFN


@MODELS.register_module()
class MSDeformAttnPixelDecoder(_MSDeformAttnPixelDecoder):
    """mmdet's pixel decoder with a deformable attention that needs no compiled op.

    Arguments and state dict are those of :class:`mmdet.models.layers.MSDeformAttnPixelDecoder`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for layer in self.encoder.layers:  # mmdet's layer names mmcv's classes instead of asking a registry
            layer.self_attn = MultiScaleDeformableAttention(**layer.self_attn_cfg)
            layer.ffn = PiecewiseFFN(**layer.ffn_cfg)
