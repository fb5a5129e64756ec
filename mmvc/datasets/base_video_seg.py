# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmvc.formats.label_maps import VOID_LABEL
from mmvc.formats.vspw import frame_names, read_video_list
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError

from .base_video import BaseVideoDataset


@DATASETS.register_module()
class BaseVideoSegDataset(BaseVideoDataset):
    """Videos stored as folders of frames, with one semantic mask per frame.

    One item per video:
    ``dict(video_id, video_length, label_lut, images=[dict(img_path, frame_id, seg_map_path), ...])``. ``SampleClip``
    or ``SampleAllFrames`` must be the first transform. Frames are ordered by name (numbers by value).

    The layout of a dataset is a matter of class attributes (in a subclass) or of arguments of the same meaning (in a
    config), so that a dataset of one's own needs no code:

    Example:
        >>> dataset = dict(
        ...     type='BaseVideoSegDataset',
        ...     data_root='data/kitchen',
        ...     ann_file='train.txt',  # one video name per line
        ...     data_prefix=dict(img_path='frames/{video}', seg_map_path='labels/{video}'),
        ...     img_suffix='.png',
        ...     label_offset=1,  # the value 1 in a mask is the first class ...
        ...     void_values=(0,),  # ... and 0 is unlabelled
        ...     metainfo=dict(classes=('cup', 'table'), palette=[(220, 20, 60), (0, 128, 192)]))

    Args:
        ann_file (str): Text file with one video name per line, relative to ``data_root``.
        data_root (str): Root folder of the dataset. Defaults to ''.
        data_prefix (dict, optional): Folder templates ``img_path`` and ``seg_map_path``, relative to ``data_root``,
            with ``{video}`` in place of the video's name. Defaults to the class attribute ``DATA_PREFIX``.
        metainfo (dict, optional): ``classes`` and, optionally, ``palette`` (RGB, one per class) and ``thing_classes``.
            Given classes replace those of the dataset class together with their palette and thing classes; without a
            palette, a fixed random one is used.
        img_suffix (str, optional): Ending of frame files. Defaults to ``IMG_SUFFIX``.
        seg_map_suffix (str, optional): Ending of mask files; without it a mask is named as its frame. Defaults to
            ``SEG_MAP_SUFFIX``.
        label_offset (int, optional): Mask value of class 0. Defaults to ``LABEL_OFFSET``.
        void_values (sequence[int], optional): Mask values that mean "not labelled". A value that is neither a class
            nor one of these is an error when the mask is loaded. Defaults to ``VOID_VALUES``.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`. With ``test_mode=True`` masks may
            be absent.

    Raises:
        FileNotFoundError: The data root, the list file, a video's folder or (when training) a frame's mask is missing.
        DataError: The list names no video or one twice, a video has no frames, or classes and palette do not fit.
    """

    DATA_PREFIX: dict = dict(img_path='JPEGImages/{video}', seg_map_path='Annotations/{video}')
    IMG_SUFFIX: str = '.jpg'
    SEG_MAP_SUFFIX: str = '.png'
    LABEL_OFFSET: int = 0
    VOID_VALUES: Sequence[int] = (VOID_LABEL, )

    def __init__(self,
                 ann_file: str,
                 data_root: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 img_suffix: str | None = None,
                 seg_map_suffix: str | None = None,
                 label_offset: int | None = None,
                 void_values: Sequence[int] | None = None,
                 **kwargs: Any) -> None:
        self.img_suffix = self.IMG_SUFFIX if img_suffix is None else img_suffix
        self.seg_map_suffix = self.SEG_MAP_SUFFIX if seg_map_suffix is None else seg_map_suffix
        self.label_offset = self.LABEL_OFFSET if label_offset is None else label_offset
        self.void_values = tuple(self.VOID_VALUES if void_values is None else void_values)
        self.label_lut = self._build_label_lut(len(self._load_metainfo(metainfo)['classes']))
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix={**self.DATA_PREFIX, **(data_prefix or {})},
            metainfo=metainfo,
            **kwargs)
        # Metrics and pictures read the masks themselves.
        self._metainfo['label_offset'] = self.label_offset

    def _build_label_lut(self, num_classes: int) -> np.ndarray:
        """Table (256,) int16 from mask value to class index, 255 for void and -1 for a value that must not occur."""
        if self.label_offset + num_classes > 256 or num_classes > VOID_LABEL:
            raise DataError(f'{type(self).__name__}: {num_classes} classes with label_offset={self.label_offset} do '
                            'not fit into 8-bit masks')
        lut = np.full(256, -1, dtype=np.int16)
        lut[list(self.void_values)] = VOID_LABEL
        lut[self.label_offset:self.label_offset + num_classes] = np.arange(num_classes)
        return lut

    def load_data_list(self) -> list[dict]:
        """One dict per video of the list file, in the file's order.

        Only folder listings are read: files are opened when a clip is loaded.
        """
        self._check_ann_file('a text file with one video name per line')
        return [self._load_video(video) for video in read_video_list(self.ann_file)]

    def get_data_info(self, idx: int) -> dict:
        """The ``idx``-th video, with the table that its masks are read by."""
        return dict(super().get_data_info(idx), label_lut=self.label_lut)

    def _load_video(self, video: str) -> dict:
        name = type(self).__name__
        img_dir = self.data_prefix['img_path'].replace('{video}', video)
        seg_map_dir = self.data_prefix['seg_map_path'].replace('{video}', video)
        self._check_folder(img_dir, video)
        frames = frame_names(img_dir, self.img_suffix)
        if not frames:
            raise DataError(f'{name}: video "{video}" has no "*{self.img_suffix}" frames in "{img_dir}"; '
                            'check img_suffix or take it off the list')
        masks = set(frame_names(seg_map_dir, self.seg_map_suffix))
        images = []
        for frame_id, frame in enumerate(frames):
            image = dict(img_path=f'{img_dir}/{frame}{self.img_suffix}', frame_id=frame_id)
            seg_map_path = f'{seg_map_dir}/{frame}{self.seg_map_suffix}'
            if frame in masks:
                image['seg_map_path'] = seg_map_path
            elif not self.test_mode:
                raise FileNotFoundError(f'{name}: frame "{image["img_path"]}" has no mask "{seg_map_path}"; add it, '
                                        'remove the frame, or use test_mode=True to predict only')
            images.append(image)
        return dict(video_id=video, video_length=len(images), images=images)
