# Copyright (c) The mmvc contributors. All rights reserved.
from .pipeline import make_tta_pipeline
from .video_seg_tta import VideoSegTTAModel

__all__ = ['VideoSegTTAModel', 'make_tta_pipeline']
