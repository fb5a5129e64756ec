# Copyright (c) The mmvc contributors. All rights reserved.
from typing import TYPE_CHECKING

from mmvc.utils.lazy_names import lazy_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(
    __name__,
    dict(
        BaseVideoDataset='base_video',
        BaseVideoSegDataset='base_video_seg',
        CamVidDataset='camvid',
        COCOPseudoVideoDataset='coco_pseudo_video',
        JointDataset='joint',
        OVISDataset='ovis',
        ResumableBatchSampler='samplers',
        WholeVideoSampler='samplers',
        SeededDataset='seeded_dataset',
        VIPSegDataset='vipseg',
        VSPWDataset='vspw',
        YouTubeVISDataset='youtube_vis'))

__all__ = [
    'BaseVideoDataset', 'BaseVideoSegDataset', 'COCOPseudoVideoDataset', 'CamVidDataset', 'JointDataset',
    'OVISDataset', 'ResumableBatchSampler', 'SeededDataset', 'VIPSegDataset', 'VSPWDataset', 'WholeVideoSampler',
    'YouTubeVISDataset'
]
