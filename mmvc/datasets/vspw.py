# Copyright (c) The mmvc contributors. All rights reserved.
from mmvc.formats import vspw
from mmvc.registry import DATASETS

from .base_video_seg import BaseVideoSegDataset
from .metainfo.vspw import VSPW_CLASSES, VSPW_PALETTE, VSPW_THING_CLASSES


@DATASETS.register_module()
class VSPWDataset(BaseVideoSegDataset):
    """VSPW (Miao et al., CVPR 2021), and any dataset stored in its layout.

    ``data/<video>/origin/*.jpg`` and ``data/<video>/mask/*.png`` with ``train.txt``, ``val.txt``, ``test.txt``. A mask
    stores class index + 1; 0 is void, and so are 252 to 255. Other classes than VSPW's come from ``metainfo``.
    """

    METAINFO = dict(classes=VSPW_CLASSES, palette=VSPW_PALETTE, thing_classes=VSPW_THING_CLASSES)
    DATA_PREFIX = dict(img_path=vspw.FRAMES, seg_map_path=vspw.MASKS)
    IMG_SUFFIX = vspw.FRAME_SUFFIX
    SEG_MAP_SUFFIX = vspw.MASK_SUFFIX
    LABEL_OFFSET = vspw.LABEL_OFFSET
    VOID_VALUES = vspw.VOID_VALUES
