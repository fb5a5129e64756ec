# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmvc.formats.label_maps import VOID_LABEL
from mmvc.formats.vspw import read_video_list, require_frames
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError
from mmvc.utils.files import files_in

from .base_video import BaseVideoDataset


@DATASETS.register_module()
class BaseVideoSegDataset(BaseVideoDataset):
    """Videos stored as folders of frames, with one semantic mask per frame.

    One item per video: ``dict(video_id, video_length, label_lut, images=[...])``, with ``dict(img_path, frame_id,
    seg_map_path)`` for each image. ``SampleClip`` or ``SampleAllFrames`` must be the first transform. Frames are
    sorted by name, with numbers by value. An ending fits in capital and in small letters.

    Class attributes of a subclass describe the layout of the folders. Arguments of the same meaning override them, so
    that a config alone can describe an own dataset:

    Example:
        >>> dataset = dict(
        ...     type='BaseVideoSegDataset',
        ...     data_root='data/kitchen',
        ...     ann_file='train.txt',  # one video name per line
        ...     data_prefix=dict(img_path='frames/{video}', seg_map_path='labels/{video}'),
        ...     img_suffix='.png',
        ...     label_offset=1,  # the first class has the value 1 in the masks
        ...     void_values=(0,),  # 0 is unlabelled
        ...     metainfo=dict(classes=('cup', 'table'), palette=[(220, 20, 60), (0, 128, 192)]))

    Args:
        ann_file (str): Text file with one video name per line, relative to ``data_root``.
        data_root (str): Root folder of the dataset. Defaults to ''.
        data_prefix (dict, optional): Templates of the folders ``img_path`` and ``seg_map_path``, relative to
            ``data_root``. ``{video}`` stands for the name of the video. Defaults to the class attribute
            ``DATA_PREFIX``.
        metainfo (dict, optional): ``classes`` and, optionally, ``palette`` (RGB, one per class) and ``thing_classes``.
            If ``classes`` is given, palette and thing classes of the dataset class are dropped as well; the default
            palette is then random, but always the same.
        img_suffix (str, optional): Ending of frame files. Defaults to ``IMG_SUFFIX``.
        seg_map_suffix (str, optional): Ending of mask files. The rest of the name is that of the frame. Defaults to
            ``SEG_MAP_SUFFIX``.
        label_offset (int, optional): Mask value of class 0. Defaults to ``LABEL_OFFSET``.
        void_values (sequence[int], optional): Mask values of unlabelled pixels. Any other value that is not a class
            is an error when the mask is loaded. Defaults to ``VOID_VALUES``.
        sparse_labels (bool): Whether frames may have no mask. They are the context of the labelled ones; losses and
            metrics leave them out. A video to train on needs at least one mask. Defaults to False.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`. With ``test_mode=True`` masks may
            be missing.

    Raises:
        FileNotFoundError: The data root, the list file, a video's folder or (in training) a frame's mask is missing.
        DataError: The list is empty or names a video twice, a video has no frames or (in training) no mask, a mask has
            no frame, two files are of one frame, a value is both void and a class, or the numbers of classes and
            colours differ.
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
                 sparse_labels: bool = False,
                 **kwargs: Any) -> None:
        self.sparse_labels = sparse_labels
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
        # metrics and visualizers need them to read the masks
        self._metainfo['label_offset'] = self.label_offset
        self._metainfo['void_values'] = self.void_values

    def _build_label_lut(self, num_classes: int) -> np.ndarray:
        """Table (256,) int16 from mask value to class index, 255 for void and -1 for a value that must not occur."""
        wrong = [value for value in (self.label_offset, *self.void_values)
                 if not isinstance(value, int) or not 0 <= value <= 255]
        if wrong:
            raise DataError(f'{type(self).__name__}: label_offset and void_values are values of 8-bit masks, whole '
                            f'numbers from 0 to 255, got {wrong}')
        if self.label_offset + num_classes > 256 or num_classes > VOID_LABEL:
            raise DataError(f'{type(self).__name__}: {num_classes} classes with label_offset={self.label_offset} do '
                            'not fit into 8-bit masks; use at most 255 classes, and lower label_offset')
        labels = range(self.label_offset, self.label_offset + num_classes)
        both = sorted(set(self.void_values).intersection(labels))
        if both:
            raise DataError(f'{type(self).__name__}: the void_values {both} are also classes, which have the mask '
                            f'values {labels[0]} to {labels[-1]}; correct label_offset ({self.label_offset}) or '
                            'void_values')
        lut = np.full(256, -1, dtype=np.int16)
        lut[list(self.void_values)] = VOID_LABEL
        lut[labels] = np.arange(num_classes)
        return lut

    def load_data_list(self) -> list[dict]:
        """Build one dict per video of the list file, in the order of the file.

        Only folders are listed. Files are opened when a clip is loaded.
        """
        self._check_ann_file('a text file with one video name per line')
        videos = [self._load_video(video) for video in read_video_list(self.ann_file)]
        self._warn_of_others(videos)
        return videos

    def get_data_info(self, idx: int) -> dict:
        """Return the ``idx``-th video, with the table from mask values to class indices (``label_lut``)."""
        return dict(super().get_data_info(idx), label_lut=self.label_lut)

    def _load_video(self, video: str) -> dict:
        name = type(self).__name__
        img_dir = self.data_prefix['img_path'].replace('{video}', video)
        seg_map_dir = self.data_prefix['seg_map_path'].replace('{video}', video)
        self._check_folder(img_dir, video)
        frames = files_in(img_dir, (self.img_suffix, ))
        if not frames:
            raise DataError(f'{name}: video "{video}" has no "*{self.img_suffix}" frames in "{img_dir}"; '
                            'correct img_suffix, or remove the video from the list')
        masks = files_in(seg_map_dir, (self.seg_map_suffix, ))
        paths = set(frames.values())  # in a folder of both, the ending of the masks may fit the frames, too
        require_frames(video, img_dir, frames, [mask for mask, path in masks.items() if path not in paths])
        images = []
        for frame_id, (frame, path) in enumerate(frames.items()):
            image = dict(img_path=f'{img_dir}/{path.name}', frame_id=frame_id)
            if frame != path.stem:  # such as 0_leftImg8bit.jpg: its prediction is 0.png
                image['frame_name'] = frame
            if frame in masks:
                image['seg_map_path'] = f'{seg_map_dir}/{masks[frame].name}'
            elif self.sparse_labels:
                image['labelled'] = False
            elif not self.test_mode:
                raise FileNotFoundError(f'{name}: frame "{image["img_path"]}" has no mask '
                                        f'"{seg_map_dir}/{frame}{self.seg_map_suffix}"; add the mask, remove the '
                                        'frame, set sparse_labels=True if only some frames are labelled, or '
                                        'test_mode=True to only predict')
            images.append(image)
        if not self.test_mode:
            self._require_labelled(video, images)
        return dict(video_id=video, video_length=len(images), images=images)
