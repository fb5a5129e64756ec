# Copyright (c) The mmvc contributors. All rights reserved.
from .dinov2_vit import DINOv2ViT
from .dinov2_vit_adapter import DINOv2ViTAdapter
from .dinov2_weights import convert_dinov2_weights
from .efficientnet_lite import EfficientNetLite
from .efficientnet_lite_weights import convert_efficientnet_lite_weights
from .plain_vit import PlainViT

__all__ = [
    'DINOv2ViT', 'DINOv2ViTAdapter', 'EfficientNetLite', 'PlainViT', 'convert_dinov2_weights',
    'convert_efficientnet_lite_weights'
]
