# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.registry import DATASETS

from .metainfo.ovis import OVIS_CLASSES, OVIS_PALETTE
from .youtube_vis import YouTubeVISDataset


@DATASETS.register_module()
class OVISDataset(YouTubeVISDataset):
    """OVIS (Qi et al., IJCV 2022): long videos with heavy occlusion, 25 classes, in the format of YouTube-VIS.

    Files: ``<split>/<video>/*.jpg`` or ``<split>/JPEGImages/<video>/*.jpg``, and ``annotations_<split>.json`` or
    ``<split>.json``. In the files of the validation and test sets, ``annotations`` is null. Arguments as in
    :class:`YouTubeVISDataset`, without ``version``.
    """

    METAINFO = dict(classes=OVIS_CLASSES, palette=OVIS_PALETTE)
    VERSIONS = dict()
