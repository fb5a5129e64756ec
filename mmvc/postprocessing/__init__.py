# Copyright (c) The mmvc contributors. All rights reserved.
"""What improves predictions after the model, whoever made them."""

from .aggregation import VideoChoice, aggregate_folders, motion_consistency
from .motion import Motion, estimate_motion, warp_labels
from .ssim import label_similarity, ssim_map
from .voting import majority_vote, soft_vote, vote_margin

__all__ = [
    'Motion', 'VideoChoice', 'aggregate_folders', 'estimate_motion', 'label_similarity', 'majority_vote',
    'motion_consistency', 'soft_vote', 'ssim_map', 'vote_margin', 'warp_labels'
]
