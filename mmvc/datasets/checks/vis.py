# Copyright (c) The mmvc contributors. All rights reserved.
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pycocotools import mask as mask_utils

from mmvc.datasets.ovis import OVISDataset
from mmvc.datasets.youtube_vis import (
    ANN_FILES,
    ANNOTATIONS_SCHEMA,
    CATEGORIES_SCHEMA,
    IMG_FOLDERS,
    YouTubeVISDataset,
    find_path,
)
from mmvc.formats.json_files import ID, require_unique
from mmvc.formats.rle import to_rle
from mmvc.utils.errors import DataError
from mmvc.utils.jobs import run_jobs

from .report import Report
from .vipseg import load_annotations

SCHEMA = {
    'videos': [{'id': ID, 'file_names': [str], 'height': int, 'width': int}],
    'categories': CATEGORIES_SCHEMA,
    'annotations?': ANNOTATIONS_SCHEMA,
}
CLASSES = dict(
    youtube_vis_2019=YouTubeVISDataset.VERSIONS['2019']['classes'],
    youtube_vis_2021=YouTubeVISDataset.VERSIONS['2021']['classes'],
    ovis=OVISDataset.METAINFO['classes'])
VIDEOS = dict(
    youtube_vis_2019=dict(train=2238, valid=302, test=343),
    youtube_vis_2021=dict(train=2985, valid=421, test=453),
    ovis=dict(train=607, valid=140, test=154))


def check_vis(root: Path,
              benchmark: str,
              splits: Sequence[str] = ('train', 'valid'),
              workers: int = 1,
              quick: bool = False,
              own: bool = False) -> Report:
    """Check YouTube-VIS or OVIS, or a dataset of one's own in their format.

    Args:
        root (Path): Root of the dataset.
        benchmark (str): ``'youtube_vis_2019'``, ``'youtube_vis_2021'`` or ``'ovis'``.
        splits (sequence[str]): Splits; only ``train`` needs annotations. Defaults to ``('train', 'valid')``.
        workers (int): Number of processes. Defaults to 1.
        quick (bool): Whether to read only the headers of images and no masks. Defaults to False.
        own (bool): Whether it is another dataset in this format, whose totals and classes are not known. Defaults to
            False.

    Returns:
        Report: What was found.
    """
    report = Report()
    for split in splits:
        known = len(report.problems)
        path = root / find_path(str(root), split, ANN_FILES)
        report.count(split, videos=0, frames=0, labelled=0, instances=0)
        content = load_annotations(report, path, SCHEMA)
        if content is None:
            continue
        annotations = _by_video(report, path, content, split, None if own else CLASSES[benchmark])
        folder = root / find_path(str(root), split, IMG_FOLDERS)
        jobs = [(video, annotations[video['id']]) for video in content['videos']]
        for video_report in run_jobs(partial(_check_video, folder, split, quick), jobs, workers):
            report.merge(video_report)
        if len(report.problems) == known:
            dataset = partial(
                YouTubeVISDataset, ann_file=str(path), data_prefix=dict(img_path=str(folder)), lazy_init=True,
                metainfo=dict(classes=[category['name'] for category in content['categories']]),
                test_mode=not content.get('annotations'))
            report.attempt_to_load(dataset)
        if not own:
            report.expect(split, 'videos', VIDEOS[benchmark][split])
    return report


def _by_video(report: Report, path: Path, content: dict, split: str,
              classes: Sequence[str] | None) -> dict[int, list[dict]]:
    """Annotations of each video; what is wrong with the file as a whole is noted."""
    for key in ('videos', 'categories', 'annotations'):
        ids = [entry['id'] for entry in content.get(key) or ()]
        report.attempt('annotation', partial(require_unique, ids, f'id in {key}', path))
    names = {category['id']: category['name'] for category in content['categories']}
    if classes is not None and set(names.values()) != set(classes):
        report.add('annotation', f'{path}: the categories are not the classes of the benchmark; they differ by '
                                 f'{sorted(set(names.values()) ^ set(classes))}')
    if not content.get('annotations'):
        if split == 'train':
            report.add('annotation', f'{path}: has no annotations to train on')
        else:
            report.notes.append(f'{split}: no annotations (not public); results are scored by the server')
    known = {video['id'] for video in content['videos']}
    annotations = defaultdict(list)
    for annotation in content.get('annotations') or ():
        where = f'{path}: annotation {annotation["id"]}'
        if annotation['video_id'] not in known:
            report.add('annotation', f'{where} belongs to video {annotation["video_id"]}, which is not listed')
        if annotation['category_id'] not in names:
            report.add('unknown id', f'{where} has the category {annotation["category_id"]}, which is not defined')
        annotations[annotation['video_id']].append(annotation)
    return annotations


def _check_video(folder: Path, split: str, quick: bool, job: tuple[dict, list[dict]]) -> Report:
    report = Report()
    video, annotations = job
    if not video['file_names']:
        report.add('annotation', f'video {video["id"]} has no frames')
    for name in video['file_names']:
        size = report.image_size(folder / name, quick)
        if size is not None:
            report.sizes[size] += 1
            if size != (video['width'], video['height']):
                report.add('size', f'{folder / name}: {size[0]} x {size[1]}, its annotation '
                                   f'{video["width"]} x {video["height"]}')
    labelled = {t for annotation in annotations for t, mask in enumerate(annotation['segmentations']) if mask}
    report.count(split, videos=1, frames=len(video['file_names']), labelled=len(labelled), instances=len(annotations))
    for annotation in annotations:
        where = f'video {video["id"]} ("{", ".join(video["file_names"][:1])}" ...), annotation {annotation["id"]}'
        if len(annotation['segmentations']) != len(video['file_names']):
            report.add('annotation', f'{where}: masks for {len(annotation["segmentations"])} of '
                                     f'{len(video["file_names"])} frames')
        if not any(annotation['segmentations']):
            report.add('annotation', f'{where}: is not visible in any frame')
        for t, mask in enumerate(annotation['segmentations']):
            if mask:
                _check_mask(report, f'{where}, frame {t}', mask, video, quick)
    return report


def _check_mask(report: Report, where: str, mask: dict | list, video: dict, quick: bool) -> None:
    size = [video['height'], video['width']]
    if isinstance(mask, dict) and mask.get('size') != size:
        report.add('size', f'{where}: mask of size {mask.get("size")}, frames of size {size} (height, width)')
        return
    try:
        rle = to_rle(mask, *size)
    except DataError as error:
        report.add('annotation', f'{where}: {error}')
        return
    if not quick and rle is not None and not mask_utils.area(rle):
        report.add('annotation', f'{where}: the mask is empty; it should be null')
