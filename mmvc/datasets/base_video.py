# Copyright (c) The mmvc contributors. All rights reserved.
import logging
import os.path as osp
from typing import Any

import numpy as np
from mmdet.visualization.palette import get_palette
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmvc.formats.label_maps import VOID_LABEL, read_label_map
from mmvc.utils.errors import DataError, named
from mmvc.utils.files import other_images

from .bad_samples import BadSamplePolicy


class BaseVideoDataset(BadSamplePolicy, BaseDataset):
    """Base class of video datasets: one item per video, checked classes, and errors that name the file.

    An item is ``dict(video_id=str, video_length=int, images=[...])``. An image is ``dict(img_path=str,
    frame_id=int)``, with the optional keys ``frame_name`` (str, name of its prediction), ``seg_map_path`` (str),
    ``segments_info`` (VPS), ``instances`` (VIS) and ``ann_shape`` (height and width that the annotations are for). A
    dataset with sparse labels sets ``labelled=False`` for frames without labels; they are the context of the others.
    ``SampleClip`` or ``SampleAllFrames`` must be the first transform.

    The list of videos is built once and kept serialised, so that data workers share its memory. Images, masks and
    RLEs are read and decoded when a clip is loaded.

    Args:
        max_bad_samples (int): How many different videos may be unreadable in training. The next readable video of the
            dataset replaces each of them, and :class:`BadSampleHook` logs it. Defaults to 0: the first one is an
            error.
        **kwargs: Arguments of :class:`mmengine.dataset.BaseDataset`, except ``max_refetch``.
    """

    METAINFO: dict = dict()

    def __init__(self, *args: Any, max_bad_samples: int = 0, **kwargs: Any) -> None:
        if 'max_refetch' in kwargs:
            raise DataError(f'{type(self).__name__}: max_refetch is not supported, because it replaces samples by '
                            'random ones; use max_bad_samples')
        self.set_max_bad_samples(max_bad_samples, kwargs.get('test_mode', False))
        super().__init__(*args, **kwargs)

    def prepare_data(self, idx: int) -> Any:
        """Load the ``idx``-th video and pass it through the pipeline; raises an error if it cannot be loaded."""
        return BaseDataset.prepare_data(self, idx)

    def get_cat_ids(self, idx: int) -> list[int]:
        """List the classes in a video, for mmengine's ``ClassBalancedDataset``.

        Args:
            idx (int): Index of the video.

        Returns:
            list[int]: Class indices in ascending order. Those of semantic masks are read from all masks of the video.
        """
        info: dict = self.get_data_info(idx)
        classes: set[int] = set()
        for image in info['images']:
            if image.get('instances') is not None:
                classes.update(each['bbox_label'] for each in image['instances'] if not each['ignore_flag'])
            elif image.get('segments_info') is not None:
                classes.update(segment['category_id'] for segment in image['segments_info'])
            elif image.get('seg_map_path') is not None:
                labels = np.unique(info['label_lut'][read_label_map(image['seg_map_path'])])
                classes.update(labels[(labels >= 0) & (labels != VOID_LABEL)].tolist())
        return sorted(classes)

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        """Override the class attribute ``METAINFO`` by ``metainfo``, check it, and add a palette if it has none."""
        meta = super()._load_metainfo(metainfo)
        if metainfo is not None and 'classes' in metainfo:
            for key in ('palette', 'thing_classes'):
                if key not in metainfo:
                    meta.pop(key, None)  # METAINFO has it for other classes
        classes = meta.get('classes')
        if not classes or isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise DataError(f'{cls.__name__}: metainfo["classes"] must list the class names, got {classes!r}; '
                            "pass metainfo=dict(classes=('name', ...), palette=[(r, g, b), ...])")
        if len(set(classes)) != len(classes):
            raise DataError(f'{cls.__name__}: metainfo["classes"] names a class twice: {classes}; give each '
                            'class its own name')
        if 'palette' not in meta:
            meta['palette'] = [tuple(int(c) for c in colour) for colour in get_palette('random', len(classes))]
        if len(meta['palette']) != len(classes):
            raise DataError(f'{cls.__name__}: metainfo["palette"] has {len(meta["palette"])} colours for '
                            f'{len(classes)} classes; give one (r, g, b) per class')
        unknown = set(meta.get('thing_classes', ())) - set(classes)
        if unknown:
            raise DataError(f'{cls.__name__}: metainfo["thing_classes"] has {sorted(unknown)}, which are not in '
                            'metainfo["classes"]; add them there, or remove them')
        return meta

    def _check_ann_file(self, content: str) -> None:
        """Raise an error unless data root and annotation file exist. ``content`` describes the file in the error."""
        name = type(self).__name__
        if self.data_root and not osp.isdir(self.data_root):
            raise FileNotFoundError(f'{name}: data_root "{self.data_root}" is not a folder; download or generate the '
                                    'dataset, or point data_root to it')
        if not osp.isfile(self.ann_file):
            raise FileNotFoundError(f'{name}: "{self.ann_file}" does not exist; ann_file must be {content}')

    def _check_folder(self, folder: str, video: str) -> None:
        """Raise an error unless the folder of a video's frames exists."""
        if not osp.isdir(folder):
            raise FileNotFoundError(f'{type(self).__name__}: video "{video}" of "{self.ann_file}" has no folder '
                                    f'"{folder}"; correct data_prefix["img_path"], or remove the video from that file')

    def _require_labelled(self, video: str, images: list[dict]) -> None:
        """Raise an error if a video to train on has no labelled frame."""
        if not any(image.get('labelled', True) for image in images):
            raise DataError(f'{type(self).__name__}: no frame of video "{video}" of "{self.ann_file}" is labelled; '
                            'label one, or remove the video from that file')

    def _warn_of_others(self, videos: list[dict]) -> None:
        """Log the images in the folders of the videos that are neither frames nor masks of them."""
        others = []
        for video in videos:
            paths = [path for image in video['images'] for path in (image['img_path'], image.get('seg_map_path'))]
            taken = {osp.basename(path) for path in paths if path}
            others += other_images(osp.dirname(video['images'][0]['img_path']), taken)
        if others:
            print_log(f'{type(self).__name__}: {len(others)} images beside the frames of "{self.ann_file}" are not '
                      f'part of the dataset: {named(others)}', logger='current', level=logging.WARNING)
