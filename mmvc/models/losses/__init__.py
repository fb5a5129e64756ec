# Copyright (c) The mmvc contributors. All rights reserved.
from .class_memory import ClassMemory
from .deep_supervision import deep_supervision_losses
from .frame_contrastive_loss import FrameContrastiveLoss
from .mask_classification_loss import MaskClassificationLoss
from .reference_contrastive_loss import ReferenceContrastiveLoss
from .temporal_contrastive_loss import TemporalContrastiveLoss

__all__ = [
    'ClassMemory', 'FrameContrastiveLoss', 'MaskClassificationLoss', 'ReferenceContrastiveLoss',
    'TemporalContrastiveLoss', 'deep_supervision_losses'
]
