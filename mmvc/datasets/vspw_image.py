# Copyright (c) The mmvc contributors. All rights reserved.
"""VSPW for MMSegmentation. Not imported by ``mmvc.datasets``: loading mmseg takes seconds, which video models save."""

from collections.abc import Sequence
from typing import Any

from mmseg.datasets import BaseSegDataset

from mmvc.formats.label_maps import read_label_map
from mmvc.registry import DATASETS
from mmvc.utils.image_files import read_size

from .transforms.loading import require_size_of_frame, to_class_indices
from .vspw import VSPWDataset


@DATASETS.register_module()
class VSPWImageDataset(BaseSegDataset):
    """VSPW frame by frame, for the models of MMSegmentation, and any dataset stored in its layout.

    One item per frame, in the order of videos and frames. With ``test_mode=True`` it has ``video_id``, ``frame_id``
    and ``video_length``, which ``VSSMetric`` wants among the ``meta_keys`` of ``PackSegInputs`` and by which
    ``WholeVideoSampler`` keeps the frames of a video on one rank. Mask values as in :class:`VSPWDataset`; mmseg's
    ``LoadAnnotations`` reads them. It accepts any value, so the masks of a training are checked before it does.

    With ``sparse_labels=True`` frames without a mask are not trained on. They are predicted, and ``VSSMetric`` leaves
    them out if ``labelled`` is among the ``meta_keys``, too.

    Example:
        >>> custom_imports = dict(imports=['mmvc.datasets.vspw_image', 'mmvc.evaluation'])
        >>> dataset = dict(type='mmvc.VSPWImageDataset', data_root='data/VSPW_480p', ann_file='train.txt')

    Args:
        ann_file (str): Text file with one video name per line, relative to ``data_root``.
        data_prefix (dict, optional): Folder templates as in :class:`BaseVideoSegDataset`. Defaults to None (VSPW's).
        metainfo (dict, optional): Classes that replace those of VSPW. Defaults to None.
        sparse_labels (bool): Whether frames may have no mask. Defaults to False.
        **kwargs: Other arguments of :class:`mmseg.datasets.BaseSegDataset`.

    Raises:
        DataError: When a frame for training is loaded: its mask is damaged, differs in size from it, or holds a value
            that is neither a class nor void.
    """

    METAINFO = VSPWDataset.METAINFO

    def __init__(self,
                 ann_file: str,
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 sparse_labels: bool = False,
                 **kwargs: Any) -> None:
        self.sparse_labels = sparse_labels
        super().__init__(
            ann_file=ann_file,
            data_prefix={**VSPWDataset.DATA_PREFIX, **(data_prefix or {})},
            metainfo=metainfo,
            reduce_zero_label=True,  # 0 is void, class c is c + 1
            **kwargs)
        self._metainfo['label_offset'] = VSPWDataset.LABEL_OFFSET
        self._metainfo['void_values'] = VSPWDataset.VOID_VALUES

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        return VSPWDataset._load_metainfo(metainfo)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Table that makes void of the mask values 252 to 254, from which 1 has been subtracted."""
        return {value - VSPWDataset.LABEL_OFFSET: 255 for value in VSPWDataset.VOID_VALUES if 0 < value < 255}

    def load_data_list(self) -> list[dict]:
        """One dict per frame: the place in its video, if testing, and what mmseg's ``LoadAnnotations`` asks for."""
        dataset = VSPWDataset(
            ann_file=self.ann_file,
            data_prefix=self.data_prefix,
            metainfo=self._metainfo,
            img_suffix=self.img_suffix,
            seg_map_suffix=self.seg_map_suffix,
            sparse_labels=self.sparse_labels,
            test_mode=self.test_mode,
            lazy_init=True)
        self._label_lut, videos = dataset.label_lut, dataset.load_data_list()
        keys = ('video_id', 'video_length') if self.test_mode else ()  # in training, a frame is just an image
        return [
            dict(
                frame,
                **{key: video[key] for key in keys},
                label_map=self.label_map,
                reduce_zero_label=self.reduce_zero_label,
                seg_fields=[]) for video in videos for frame in video['images']
            if self.test_mode or frame.get('labelled', True)
        ]

    def prepare_data(self, idx: int) -> Any:
        """Pass a frame through the pipeline, after its mask is checked; in tests the metric does that."""
        frame = self.get_data_info(idx)
        if not self.test_mode and 'seg_map_path' in frame:
            self._check_mask(frame['seg_map_path'], frame['img_path'])
        return super().prepare_data(idx)

    def _check_mask(self, path: str, image: str) -> None:
        mask = read_label_map(path, self.backend_args)
        to_class_indices(mask, self._label_lut, path)
        size = read_size(image) if self.backend_args is None else None
        if size is not None:
            require_size_of_frame(mask, path, size[::-1], image)
