# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from typing import Any

from mmdet.visualization.palette import get_palette
from mmengine.dataset import BaseDataset

from mmvc.utils.errors import DataError

from .bad_samples import BadSamplePolicy


class BaseVideoDataset(BadSamplePolicy, BaseDataset):
    """What all datasets of videos share: one item per video, checked classes, clear errors.

    An item is ``dict(video_id=str, video_length=int, images=[...])``; an image is ``dict(img_path=str, frame_id=int)``
    and, where they are known, ``seg_map_path`` (str), ``segments_info`` (VPS) and ``instances`` (VIS).
    ``SampleClip`` or ``SampleAllFrames`` must be the first transform.

    The list of videos is built once and kept serialised, so that the workers share it; images, masks and RLE are
    opened and decoded when a clip is loaded.

    Args:
        max_bad_samples (int): How many different videos may turn out to be unreadable in training; the next one of the
            dataset takes their place, and :class:`BadSampleHook` logs it. Defaults to 0: the first one is an error.
        **kwargs: Arguments of :class:`mmengine.dataset.BaseDataset` but ``max_refetch``.
    """

    METAINFO: dict = dict()

    def __init__(self, *args: Any, max_bad_samples: int = 0, **kwargs: Any) -> None:
        if 'max_refetch' in kwargs:
            raise DataError(f'{type(self).__name__}: max_refetch replaces samples by random ones, which is not done '
                            'here; use max_bad_samples')
        self.set_max_bad_samples(max_bad_samples, kwargs.get('test_mode', False))
        super().__init__(*args, **kwargs)

    def prepare_data(self, idx: int) -> Any:
        """The ``idx``-th video through the pipeline; fails if it cannot be loaded."""
        return BaseDataset.prepare_data(self, idx)

    @classmethod
    def _load_metainfo(cls, metainfo: dict | None = None) -> dict:
        """Class attributes overridden by ``metainfo``, checked and with a palette."""
        meta = super()._load_metainfo(metainfo)
        if metainfo is not None and 'classes' in metainfo:
            for key in ('palette', 'thing_classes'):
                if key not in metainfo:
                    meta.pop(key, None)  # it describes other classes
        classes = meta.get('classes')
        if not classes or isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
            raise DataError(f'{cls.__name__}: metainfo["classes"] must list the class names, got {classes!r}; '
                            "pass metainfo=dict(classes=('name', ...), palette=[(r, g, b), ...])")
        if len(set(classes)) != len(classes):
            raise DataError(f'{cls.__name__}: metainfo["classes"] names a class twice: {classes}')
        if 'palette' not in meta:
            meta['palette'] = [tuple(int(c) for c in colour) for colour in get_palette('random', len(classes))]
        if len(meta['palette']) != len(classes):
            raise DataError(f'{cls.__name__}: metainfo["palette"] has {len(meta["palette"])} colours for '
                            f'{len(classes)} classes; give one (r, g, b) per class')
        unknown = set(meta.get('thing_classes', ())) - set(classes)
        if unknown:
            raise DataError(f'{cls.__name__}: metainfo["thing_classes"] has {sorted(unknown)}, which "classes" lacks')
        return meta

    def _check_ann_file(self, content: str) -> None:
        """Raise an error unless data root and annotation file exist. ``content``: what should be in the file."""
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
                                    f'"{folder}"; check data_prefix["img_path"] or take the video off the list')
