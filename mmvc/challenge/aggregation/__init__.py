# Copyright (c) The mmvc contributors. All rights reserved.
"""For each video, choose the model whose prediction is the most consistent over time."""

from .choice import VideoChoice, aggregate_folders, motion_consistency
from .motion import Motion, estimate_motion, warp_labels
from .ssim import label_similarity, ssim_map

__all__ = [
    'Motion', 'VideoChoice', 'aggregate_folders', 'estimate_motion', 'label_similarity', 'motion_consistency',
    'ssim_map', 'warp_labels'
]
