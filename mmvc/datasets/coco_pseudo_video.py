# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from collections import defaultdict
from typing import Any

from mmvc.formats.coco import read_annotations
from mmvc.registry import DATASETS
from mmvc.utils.errors import DataError

from .base_video import BaseVideoDataset
from .metainfo.coco_mapping import TARGETS


def map_coco_classes(content: dict, classes: tuple[str, ...], mapping: dict[str, str]) -> dict:
    """Keep the objects of COCO that have a class of the target, under that class.

    Args:
        content (dict): COCO's ``images``, ``annotations`` and ``categories``.
        classes (tuple[str]): Classes of the target.
        mapping (dict[str, str]): COCO's class to the target's.

    Returns:
        dict: The same, with the classes as categories (ids from 1); without crowds, objects of other classes, and
        images that have no object left. A content whose categories are the target's classes loses crowds and empty
        images only.

    Raises:
        DataError: If a class to be mapped is not among the categories.
    """
    names = {category['id']: category['name'] for category in content['categories']}
    if set(names.values()) != set(classes):
        if not set(mapping) <= set(names.values()):
            raise DataError(f'the categories are neither those of COCO ({sorted(set(mapping) - set(names.values()))} '
                            'are missing) nor the classes of the target')
        names = {category_id: mapping.get(name) for category_id, name in names.items()}
    category_ids = {
        category_id: classes.index(name) + 1
        for category_id, name in names.items() if name is not None
    }
    annotations = [
        dict(annotation, category_id=category_ids[annotation['category_id']]) for annotation in content['annotations']
        if annotation['category_id'] in category_ids and not annotation.get('iscrowd', 0)
    ]
    kept = {annotation['image_id'] for annotation in annotations}
    return dict(
        images=[image for image in content['images'] if image['id'] in kept],
        annotations=annotations,
        categories=[dict(id=index, name=name) for index, name in enumerate(classes, 1)])


@DATASETS.register_module()
class COCOPseudoVideoDataset(BaseVideoDataset):
    """Images of COCO (Lin et al., ECCV 2014) as videos of one frame, with the classes of a video dataset.

    ``SampleClip`` repeats the frame, ``RotatePseudoVideo`` and ``MovingCrop`` set the clip in motion. Items are those
    of :class:`YouTubeVISDataset`, marked by ``pseudo_video=True``; crowds, objects without a counterpart among the
    target's classes and images without any object left are not part of it. ``instance_id`` is the annotation's id.

    Args:
        target (str): ``'ovis'``, ``'youtube_vis_2019'`` or ``'youtube_vis_2021'``.
        ann_file (str): Instance annotations of COCO, or what ``tools/dataset_converters/coco_to_pseudo_video.py``
            makes of them (loads faster); relative to ``data_root``.
        data_root (str): Root folder of COCO. Defaults to ''.
        data_prefix (dict): ``img_path``, the folder of the images. Defaults to ``dict(img_path='train2017')``.
        **kwargs: Other arguments of :class:`mmengine.dataset.BaseDataset`.

    Raises:
        FileNotFoundError: The data root, the JSON or the folder of the images is missing.
        DataError: The JSON is damaged or incomplete, or its categories are neither COCO's nor the target's.
    """

    def __init__(self,
                 target: str,
                 ann_file: str,
                 data_root: str = '',
                 data_prefix: dict = dict(img_path='train2017'),
                 **kwargs: Any) -> None:
        if target not in TARGETS:
            raise DataError(f'{type(self).__name__}: target must be one of {", ".join(TARGETS)}, got {target!r}')
        metainfo, self.mapping = TARGETS[target]
        super().__init__(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One dict per image that shows an object of the target's classes, in the file's order."""
        self._check_ann_file('instance annotations of COCO')
        content = read_annotations(self.ann_file)
        try:
            content = map_coco_classes(content, self._metainfo['classes'], self.mapping)
        except ValueError as error:
            raise DataError(f'{type(self).__name__}: "{self.ann_file}": {error}') from error
        if not content['images']:
            raise DataError(f'{type(self).__name__}: "{self.ann_file}" has no object of a class of the target')
        img_dir = self.data_prefix['img_path']
        self._check_folder(img_dir, 'of all images')
        instances = defaultdict(list)
        for annotation in content['annotations']:
            instances[annotation['image_id']].append(
                dict(
                    mask=annotation['segmentation'],
                    bbox_label=annotation['category_id'] - 1,
                    instance_id=annotation['id'],
                    ignore_flag=0))
        data_list = []
        for image in content['images']:
            frame = dict(
                img_path=osp.join(img_dir, image['file_name']), frame_id=0, instances=instances[image['id']])
            if image.get('height') is not None and image.get('width') is not None:
                frame['ann_shape'] = (image['height'], image['width'])
            data_list.append(dict(video_id=str(image['id']), video_length=1, pseudo_video=True, images=[frame]))
        return data_list
