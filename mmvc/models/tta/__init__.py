# Copyright (c) The mmvc contributors. All rights reserved.
from .pipeline import make_tta_pipeline
from .video_seg_tta import VOTINGS, VideoSegTTAModel
from .voting import majority_vote, soft_vote, vote_margin

__all__ = ['VOTINGS', 'VideoSegTTAModel', 'majority_vote', 'make_tta_pipeline', 'soft_vote', 'vote_margin']
