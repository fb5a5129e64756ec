# Copyright (c) The mmvc contributors. All rights reserved.
from .base_video_segmentor import BaseVideoSegmentor
from .dvis import DVISOffline, DVISOnline
from .encoder_only import EncoderOnlySegmentor
from .minvis import MinVIS
from .two_passes import TwoPassDistributedDataParallel

__all__ = [
    'BaseVideoSegmentor', 'DVISOffline', 'DVISOnline', 'EncoderOnlySegmentor', 'MinVIS',
    'TwoPassDistributedDataParallel'
]
