# Copyright (c) The mmvc contributors. All rights reserved.
from .base_video import BaseVideoDataset
from .base_video_seg import BaseVideoSegDataset
from .camvid import CamVidDataset
from .coco_pseudo_video import COCOPseudoVideoDataset
from .joint import JointDataset
from .ovis import OVISDataset
from .samplers import ResumableBatchSampler, WholeVideoSampler
from .seeded_dataset import SeededDataset
from .vipseg import VIPSegDataset
from .vspw import VSPWDataset
from .youtube_vis import YouTubeVISDataset

__all__ = [
    'BaseVideoDataset', 'BaseVideoSegDataset', 'COCOPseudoVideoDataset', 'CamVidDataset', 'JointDataset',
    'OVISDataset', 'ResumableBatchSampler', 'SeededDataset', 'VIPSegDataset', 'VSPWDataset', 'WholeVideoSampler',
    'YouTubeVISDataset'
]
