# Copyright (c) The mmvc contributors. All rights reserved.
from .base_postprocessor import VideoPostprocessor
from .video_prediction import VideoPrediction
from .vis import VISPostprocessor
from .vps import VPSPostprocessor
from .vss import VSSPostprocessor

__all__ = ['VISPostprocessor', 'VPSPostprocessor', 'VSSPostprocessor', 'VideoPostprocessor', 'VideoPrediction']
