# Copyright (c) The mmvc contributors. All rights reserved.
from .margin_hook import VoteMarginHook
from .pipeline import make_tta_pipeline
from .video_seg_tta import VOTINGS, VideoSegTTAModel

__all__ = ['VOTINGS', 'VideoSegTTAModel', 'VoteMarginHook', 'make_tta_pipeline']
