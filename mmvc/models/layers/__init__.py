# Copyright (c) The mmvc contributors. All rights reserved.
from .multi_scale_deformable_attention import MultiScaleDeformableAttention, multi_scale_deformable_attn
from .object_masked_attention import ObjectMaskedCrossAttention
from .query_layers import ReferringTrackerLayer, TemporalRefinerLayer
from .query_noise import QueryNoise

__all__ = [
    'MultiScaleDeformableAttention', 'ObjectMaskedCrossAttention', 'QueryNoise', 'ReferringTrackerLayer',
    'TemporalRefinerLayer', 'multi_scale_deformable_attn'
]
