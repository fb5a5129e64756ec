# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from typing import Any

from mmvc.formats.json_files import FLAG, ID, require_unique
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError

from .base_video import BaseVideoDataset
from .metainfo.vspw import VSPW_CLASSES, VSPW_PALETTE, VSPW_THING_CLASSES

# What the annotation file must hold at least, as :func:`read_json` checks it.
CATEGORIES_SCHEMA = [{'id': int, 'name': str, 'isthing': FLAG}]
VIDEOS_SCHEMA = [{'video_id': ID, 'images': [{'file_name': str}]}]
SEGMENTS_SCHEMA = [{'id': int, 'category_id': int, 'iscrowd?': FLAG}]
ANNOTATIONS_SCHEMA = [{'video_id': ID, 'annotations': [{'file_name': str, 'segments_info': SEGMENTS_SCHEMA}]}]
SCHEMA = {'videos': VIDEOS_SCHEMA, 'annotations': ANNOTATIONS_SCHEMA, 'categories': CATEGORIES_SCHEMA}


@DATASETS.register_module()
class VIPSegDataset(BaseVideoDataset):
    """VIPSeg (Miao et al., CVPR 2022), converted, and any dataset in its format.

    ``images/<video>/*.jpg``, ``panomasksRGB/<video>/*.png`` and ``panoptic_gt_VIPSeg_{train,val}.json``, as
    ``tools/dataset_converters/vipseg_to_720p.py`` writes them. A mask stores segment ids, R + 256 G + 65536 B, which a
    segment keeps through its video. The class index is ``category_id``.

    Frames of labelled videos have ``segments_info``, a list of ``dict(id, category_id, isthing, iscrowd)``, when
    ``test_mode=False``; metrics read the file themselves.

    Args:
        ann_file (str): JSON with ``videos``, ``annotations`` and ``categories``, relative to ``data_root``.
        data_root (str): Root folder of the dataset. Defaults to ''.
        data_prefix (dict, optional): Folders ``img_path`` and ``seg_map_path`` of the videos' folders, relative to
            ``data_root``. Defaults to ``images`` and ``panomasksRGB``.
        metainfo (dict, optional): ``classes`` (by category id) and ``palette`` of another dataset; which classes are
            things is read from the file. Defaults to None (VIPSeg's 124 classes).
        img_suffix (str): Ending of frame files. Defaults to '.jpg'.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`. With ``test_mode=True`` videos without
            annotations are accepted.

    Raises:
        FileNotFoundError: The data root, the JSON or a video's folder is missing.
        DataError: The JSON is damaged or incomplete, or its categories are not the classes.
    """

    METAINFO = dict(classes=VSPW_CLASSES, palette=VSPW_PALETTE, thing_classes=VSPW_THING_CLASSES)
    DATA_PREFIX = dict(img_path='images', seg_map_path='panomasksRGB')

    def __init__(self,
                 ann_file: str,
                 data_root: str = '',
                 data_prefix: dict | None = None,
                 metainfo: dict | None = None,
                 img_suffix: str = '.jpg',
                 **kwargs: Any) -> None:
        self.img_suffix = img_suffix
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix={**self.DATA_PREFIX, **(data_prefix or {})},
            metainfo=metainfo,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict per video of the file, in the file's order. Only the JSON and the folders' existence are read."""
        content = self._load_json(SCHEMA, 'a panoptic_gt_VIPSeg_<split>.json')
        if not content['videos']:
            raise DataError(f'{type(self).__name__}: "{self.ann_file}" has no videos')
        for key, what in (('videos', 'video'), ('annotations', 'annotated video')):
            require_unique((str(video['video_id']) for video in content[key]), what, self.ann_file)
        require_unique((category['id'] for category in content['categories']), 'category id', self.ann_file)
        isthing = self._check_categories(content['categories'])
        annotations = {
            str(video['video_id']): {frame['file_name']: frame['segments_info'] for frame in video['annotations']}
            for video in content['annotations']
        }
        return [self._load_video(video, annotations.get(str(video['video_id'])), isthing)
                for video in content['videos']]

    def _check_categories(self, categories: list[dict]) -> list[bool]:
        """Whether each class is a thing; the file's categories must be the classes, in their order."""
        name, classes = type(self).__name__, self._metainfo['classes']
        in_file = {category['id']: category['name'] for category in categories}
        for index in range(max(len(classes), len(in_file))):
            expected = classes[index] if index < len(classes) else None
            if in_file.get(index) != expected:
                raise DataError(f'{name}: category {index} of "{self.ann_file}" is {in_file.get(index)!r}, class '
                                f'{index} of the dataset is {expected!r}; pass metainfo=dict(classes=...) with the '
                                "names in the file, ordered by id")
        things = {category['name'] for category in categories if category['isthing']}
        if 'thing_classes' in self._metainfo and set(self._metainfo['thing_classes']) != things:
            raise DataError(f'{name}: metainfo["thing_classes"] and the categories with isthing=1 in '
                            f'"{self.ann_file}" differ by {sorted(things ^ set(self._metainfo["thing_classes"]))}')
        self._metainfo['thing_classes'] = tuple(label for label in classes if label in things)
        return [label in things for label in classes]

    def _load_video(self, video: dict, annotations: dict | None, isthing: list[bool]) -> dict:
        name, video_id = type(self).__name__, str(video['video_id'])
        img_dir = osp.join(self.data_prefix['img_path'], video_id)
        seg_map_dir = osp.join(self.data_prefix['seg_map_path'], video_id)
        self._check_folder(img_dir, video_id)
        if not video['images']:
            raise DataError(f'{name}: video "{video_id}" of "{self.ann_file}" has no frames; remove it')
        images = []
        for frame_id, frame in enumerate(video['images']):
            stem = osp.splitext(frame['file_name'])[0]
            image = dict(img_path=f'{img_dir}/{stem}{self.img_suffix}', frame_id=frame_id)
            if annotations is not None and frame['file_name'] in annotations:
                image['seg_map_path'] = f'{seg_map_dir}/{frame["file_name"]}'
                if not self.test_mode:
                    image['segments_info'] = self._segments(annotations[frame['file_name']], isthing, image)
            elif not self.test_mode:
                raise DataError(f'{name}: frame "{frame["file_name"]}" of video "{video_id}" has no annotation in '
                                f'"{self.ann_file}"; convert the dataset again, or use test_mode=True to predict '
                                'only')
            images.append(image)
        return dict(video_id=video_id, video_length=len(images), images=images)

    def _segments(self, segments: list[dict], isthing: list[bool], image: dict) -> list[dict]:
        require_unique((segment['id'] for segment in segments), f'segment of "{image["seg_map_path"]}"',
                       self.ann_file)
        for segment in segments:
            if not 0 <= segment['category_id'] < len(isthing):
                raise DataError(f'{type(self).__name__}: segment {segment["id"]} of "{image["seg_map_path"]}" has '
                                f'the category {segment["category_id"]}, which "{self.ann_file}" does not define')
        return [
            dict(
                id=segment['id'],
                category_id=segment['category_id'],
                isthing=isthing[segment['category_id']],
                iscrowd=bool(segment.get('iscrowd'))) for segment in segments
        ]
