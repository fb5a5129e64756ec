# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.registry import DATASETS

from .base_video_seg import BaseVideoSegDataset


@DATASETS.register_module()
class CamVidDataset(BaseVideoSegDataset):
    """CamVid (Brostow et al., Pattern Recognition Letters 2009) as videos, with the 11 classes of SegNet.

    Files: ``JPEGImages/<video>/*.jpg``, ``Annotations/<video>/*.png`` and ``ImageSets/{train,val}.txt``. Masks store
    class indices; 11 is void.
    """

    METAINFO = dict(
        classes=('sky', 'building', 'pole', 'road', 'pavement', 'tree', 'signsymbol', 'fence', 'car', 'pedestrian',
                 'bicyclist'),
        palette=((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
                 (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)))
    VOID_VALUES = (11, 255)
