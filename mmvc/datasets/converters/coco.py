# Copyright (c) The mmvc contributors. All rights reserved.
import json
from collections import Counter
from pathlib import Path

from mmvc.datasets.coco_pseudo_video import map_coco_classes
from mmvc.datasets.metainfo.coco_mapping import TARGETS
from mmvc.formats.coco import read_annotations
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError
from mmvc.utils.outputs import protect_inputs


def convert_coco(src: Path, dst: Path, target: str, dry_run: bool = False) -> dict:
    """Write the part of COCO's instance annotations that a video dataset can be trained with, under its classes.

    The result keeps COCO's format and has the target's categories, so that :class:`COCOPseudoVideoDataset` and other
    readers of COCO take it. Crowds, objects of other classes and images without any object left are not in it.

    Args:
        src (Path): COCO's ``instances_train2017.json``.
        dst (Path): JSON to write.
        target (str): Key of ``TARGETS``: ``'ovis'``, ``'youtube_vis_2019'`` or ``'youtube_vis_2021'``.
        dry_run (bool): Whether to only count. Defaults to False.

    Returns:
        dict: Counts: ``images``, ``objects``, ``all_images``, ``all_objects``, and ``classes``, objects by class name.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file does not hold instance annotations of COCO.
        UsageError: ``dst`` is ``src``.
    """
    protect_inputs([dst], [src], 'DST')
    content = read_annotations(src, with_sizes=True)
    metainfo, mapping = TARGETS[target]
    try:
        mapped = map_coco_classes(content, metainfo['classes'], mapping)
    except DataError as error:
        raise DataError(f'"{src}" does not hold instance annotations of COCO: {error}') from error
    mapped['images'] = [{key: image[key] for key in ('id', 'file_name', 'height', 'width')}
                        for image in mapped['images']]
    per_class = Counter(metainfo['classes'][annotation['category_id'] - 1] for annotation in mapped['annotations'])
    if not dry_run:
        atomic_write(dst, json.dumps(mapped).encode())
    return dict(
        images=len(mapped['images']),
        objects=len(mapped['annotations']),
        all_images=len(content['images']),
        all_objects=len(content['annotations']),
        classes={name: per_class[name] for name in metainfo['classes']})
