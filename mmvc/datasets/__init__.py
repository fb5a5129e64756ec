# Copyright (c) The mmvc contributors. All rights reserved.
from .base_video_seg import BaseVideoSegDataset
from .camvid import CamVidDataset
from .vspw import VSPWDataset

__all__ = ['BaseVideoSegDataset', 'CamVidDataset', 'VSPWDataset']
