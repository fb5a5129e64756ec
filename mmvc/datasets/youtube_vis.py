# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from collections import defaultdict
from typing import Any

from mmvc.formats.json_files import FLAG, ID, require_unique
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError

from .base_video import BaseVideoDataset
from .metainfo.youtube_vis import (
    YOUTUBE_VIS_2019_CLASSES,
    YOUTUBE_VIS_2019_PALETTE,
    YOUTUBE_VIS_2021_CLASSES,
    YOUTUBE_VIS_2021_PALETTE,
)

# Names under which the annotations of a split are found, in releases and in projects.
ANN_FILES = ('{split}/instances.json', '{split}.json', 'annotations_{split}.json', 'instances_{split}.json')
IMG_FOLDERS = ('{split}/JPEGImages', '{split}')

# What the annotation file must hold at least, as :func:`read_json` checks it. Masks are checked when they are decoded.
CATEGORIES_SCHEMA = [{'id': int, 'name': str}]
VIDEOS_SCHEMA = [{'id': ID, 'file_names': [str]}]
ANNOTATIONS_SCHEMA = [
    {'id': int, 'video_id': ID, 'category_id': int, 'segmentations': [(type(None), dict, list)], 'iscrowd?': FLAG}
]
SCHEMA = {'videos': VIDEOS_SCHEMA, 'categories': CATEGORIES_SCHEMA}
TRAIN_SCHEMA = {**SCHEMA, 'annotations?': ANNOTATIONS_SCHEMA}


@DATASETS.register_module()
class YouTubeVISDataset(BaseVideoDataset):
    """YouTube-VIS (Yang et al., ICCV 2019) of 2019 or 2021, and any dataset in its format.

    ``<split>/JPEGImages/<video>/*.jpg`` and one JSON per split. Frames have ``instances`` when ``test_mode=False``: a
    list of ``dict(mask, bbox_label, instance_id, ignore_flag)`` of the instances visible in the frame, with the mask
    as in the file (RLE with counts as text or list, or polygons); ``LoadFrameInstances`` decodes it. ``instance_id``
    is the annotation's id, ``ignore_flag`` tells crowds.

    Args:
        split (str, optional): ``'train'``, ``'valid'`` or ``'test'``: sets ``ann_file`` and ``data_prefix`` to the
            first of the usual names that exists (``<split>/instances.json``, ``<split>.json``,
            ``annotations_<split>.json``, ``instances_<split>.json``; ``<split>/JPEGImages``, ``<split>``). Defaults to
            None.
        version (str, optional): ``'2019'`` or ``'2021'``, which differ in their classes. Not needed if ``metainfo``
            gives the classes. Defaults to None.
        ann_file (str): JSON with ``videos``, ``categories`` and, unless ``test_mode``, ``annotations``; relative to
            ``data_root``. Not needed with ``split``. Defaults to ''.
        data_root (str): Root folder of the dataset. Defaults to ''.
        data_prefix (dict, optional): ``img_path``, the folder that the file names in the JSON are relative to. Not
            needed with ``split``. Defaults to None.
        metainfo (dict, optional): ``classes`` and, optionally, ``palette`` of another dataset; they replace those of
            ``version``. Defaults to None.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`. With ``test_mode=True`` annotations may be
            absent, and are not read.

    Raises:
        FileNotFoundError: The data root, the JSON or a video's folder is missing.
        DataError: The JSON is damaged or incomplete, has no annotations to train on, or its categories are not the
            classes.
    """

    VERSIONS: dict = {
        '2019': dict(classes=YOUTUBE_VIS_2019_CLASSES, palette=YOUTUBE_VIS_2019_PALETTE),
        '2021': dict(classes=YOUTUBE_VIS_2021_CLASSES, palette=YOUTUBE_VIS_2021_PALETTE),
    }

    def __init__(self,
                 split: str | None = None,
                 version: str | None = None,
                 ann_file: str = '',
                 data_root: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 **kwargs: Any) -> None:
        if version is not None:
            if version not in self.VERSIONS:
                raise DataError(f'{type(self).__name__}: version must be one of {", ".join(self.VERSIONS)}, got '
                                f'{version!r}')
            if 'classes' not in (metainfo or {}):  # given classes replace the palette, too
                metainfo = {**self.VERSIONS[version], **(metainfo or {})}
        if split is not None:
            ann_file = ann_file or find_path(data_root, split, ANN_FILES)
            data_prefix = data_prefix or dict(img_path=find_path(data_root, split, IMG_FOLDERS))
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix or dict(img_path='JPEGImages'),
            metainfo=metainfo,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict per video of the file, in the file's order. Masks stay encoded."""
        content = self._load_json(SCHEMA if self.test_mode else TRAIN_SCHEMA, 'a JSON in the format of YouTube-VIS')
        require_unique((category['id'] for category in content['categories']), 'category id', self.ann_file)
        require_unique((video['id'] for video in content['videos']), 'video id', self.ann_file)
        labels = self._labels(content['categories'])
        if not content['videos']:
            raise DataError(f'{type(self).__name__}: "{self.ann_file}" has no videos')
        annotations = None
        if not self.test_mode:
            if not content.get('annotations'):
                raise DataError(f'{type(self).__name__}: "{self.ann_file}" has no annotations, as those of '
                                'validation and test sets are not public; use test_mode=True to predict only')
            annotations = defaultdict(list)
            for annotation in content['annotations']:
                annotations[annotation['video_id']].append(annotation)
            self._check_annotations(content, labels)
        return [self._load_video(video, annotations, labels) for video in content['videos']]

    def _labels(self, categories: list[dict]) -> dict[int, int]:
        """Class index by category id; categories and classes are paired by name."""
        classes = self._metainfo['classes']
        in_file = {category['id']: category['name'] for category in categories}
        if set(in_file.values()) != set(classes):
            raise DataError(f'{type(self).__name__}: the categories of "{self.ann_file}" are not the classes of the '
                            f'dataset: only the file has {sorted(set(in_file.values()) - set(classes))}, only the '
                            f'dataset has {sorted(set(classes) - set(in_file.values()))}; choose the right version, '
                            'or pass metainfo=dict(classes=...)')
        return {category_id: classes.index(name) for category_id, name in in_file.items()}

    def _check_annotations(self, content: dict, labels: dict[int, int]) -> None:
        require_unique((annotation['id'] for annotation in content['annotations']), 'annotation id', self.ann_file)
        lengths = {video['id']: len(video['file_names']) for video in content['videos']}
        for annotation in content['annotations']:
            where = f'{type(self).__name__}: annotation {annotation["id"]} of "{self.ann_file}"'
            if annotation['video_id'] not in lengths:
                raise DataError(f'{where} belongs to video {annotation["video_id"]}, which the file does not list')
            if annotation['category_id'] not in labels:
                raise DataError(f'{where} has the category {annotation["category_id"]}, which the file does not '
                                'define')
            if len(annotation['segmentations']) != lengths[annotation['video_id']]:
                raise DataError(f'{where} has masks for {len(annotation["segmentations"])} frames, its video has '
                                f'{lengths[annotation["video_id"]]}')

    def _load_video(self, video: dict, annotations: dict[int, list] | None, labels: dict[int, int]) -> dict:
        names = video['file_names']
        if not names:
            raise DataError(f'{type(self).__name__}: video {video["id"]} of "{self.ann_file}" has no frames; remove '
                            'it')
        img_dir = self.data_prefix['img_path']
        self._check_folder(osp.join(img_dir, osp.dirname(names[0])), str(video['id']))
        images = [dict(img_path=osp.join(img_dir, name), frame_id=frame_id) for frame_id, name in enumerate(names)]
        if annotations is not None:
            for image in images:
                image['instances'] = []
            for annotation in annotations[video['id']]:
                for image, mask in zip(images, annotation['segmentations']):
                    if mask:
                        image['instances'].append(
                            dict(
                                mask=mask,
                                bbox_label=labels[annotation['category_id']],
                                instance_id=annotation['id'],
                                ignore_flag=int(annotation.get('iscrowd') or 0)))
        return dict(video_id=str(video['id']), video_length=len(images), images=images)


def find_path(data_root: str, split: str, templates: tuple[str, ...]) -> str:
    """The first of the names that exists below ``data_root``; the first of all if none does."""
    names = [template.format(split=split) for template in templates]
    return next((name for name in names if osp.exists(osp.join(data_root, name))), names[0])
