# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmvc.datasets.metainfo.vspw import VSPW_CLASSES
from mmvc.datasets.vipseg import ANNOTATIONS_SCHEMA, CATEGORIES_SCHEMA, VIDEOS_SCHEMA, VIPSegDataset
from mmvc.formats.json_files import read_json, require_unique
from mmvc.formats.label_maps import read_panoptic_map
from mmvc.utils.errors import DataError
from mmvc.utils.files import files_in
from mmvc.utils.jobs import run_jobs

from .report import Report

VIDEOS = dict(train=2806, val=343, test=387)
SCHEMA = {
    'videos': [{**VIDEOS_SCHEMA[0], 'images': [{'file_name': str, 'width': int, 'height': int}]}],
    'annotations': ANNOTATIONS_SCHEMA,
    'categories': CATEGORIES_SCHEMA,
}


def load_annotations(report: Report, path: Path, schema: dict) -> dict | None:
    """Content of an annotation file; None, noting it, if it cannot be read or does not fit a schema of read_json."""
    if not path.is_file():
        report.add('missing file', str(path))
        return None
    try:
        return read_json(path, schema, 'the annotations of the benchmark, or of a dataset in its format')
    except DataError as error:
        # what is not JSON at all has a cause in the parser
        report.add('annotation' if error.__cause__ is None else 'unreadable file', str(error))
        return None


def check_vipseg(root: Path,
                 splits: Sequence[str] = ('train', 'val'),
                 workers: int = 1,
                 quick: bool = False,
                 own: bool = False) -> Report:
    """Check a converted VIPSeg, or a dataset of one's own in its format.

    Args:
        root (Path): Root of the dataset.
        splits (sequence[str]): Splits. Defaults to those with public annotations.
        workers (int): Number of processes. Defaults to 1.
        quick (bool): Whether to read only the headers of images and no mask values. Defaults to False.
        own (bool): Whether it is another dataset in this format, whose totals and classes are not known. Defaults to
            False.

    Returns:
        Report: What was found.
    """
    report = Report()
    for split in splits:
        known = len(report.problems)
        path = root / f'panoptic_gt_VIPSeg_{split}.json'
        report.count(split, videos=0, frames=0, labelled=0)
        content = load_annotations(report, path, SCHEMA)
        if content is None:
            continue
        names = {category['id']: category['name'] for category in content['categories']}
        if not own and names != dict(enumerate(VSPW_CLASSES)):
            report.add('annotation', f'{path}: the categories are not the 124 classes of VIPSeg in their order')
        for key, identity in (('videos', 'video_id'), ('annotations', 'video_id'), ('categories', 'id')):
            ids = [str(entry[identity]) for entry in content[key]]
            report.attempt('annotation', partial(require_unique, ids, f'{identity} in {key}', path))
        annotations = {video['video_id']: video['annotations'] for video in content['annotations']}
        for video_id in annotations.keys() - {video['video_id'] for video in content['videos']}:
            report.add('annotation', f'{path}: annotations of video "{video_id}", which is not among the videos')
        jobs = [(video, annotations.get(video['video_id'])) for video in content['videos']]
        for video_report in run_jobs(partial(_check_video, root, split, quick, set(names)), jobs, workers):
            report.merge(video_report)
        if len(report.problems) == known:
            dataset = partial(VIPSegDataset, ann_file=path.name, data_root=str(root), test_mode=split == 'test',
                              metainfo=dict(classes=[names[index] for index in sorted(names)]), lazy_init=True)
            report.attempt_to_load(dataset)
    if not own:
        for split in splits:
            report.expect(split, 'videos', VIDEOS[split])
    return report


def _check_video(root: Path, split: str, quick: bool, category_ids: set[int], job: tuple[dict, list | None]) -> Report:
    report = Report()
    video, annotations = job
    name = str(video['video_id'])
    segments = {frame['file_name']: frame['segments_info'] for frame in annotations or ()}
    _check_segments(report, name, [image['file_name'] for image in video['images']], annotations or ())
    files = files_in(root / 'panomasksRGB' / name, ('.png', ))
    report.count(split, videos=1, frames=len(video['images']), labelled=len(segments))
    stems = set()
    for image in video['images']:
        stem = Path(image['file_name']).stem
        stems.add(stem)
        frame_path = root / 'images' / name / f'{stem}.jpg'
        size = report.image_size(frame_path, quick)
        if size is not None:
            report.sizes[size] += 1
            if size != (image['width'], image['height']):
                report.add('size', f'{frame_path}: {size[0]} x {size[1]}, its annotation '
                                   f'{image["width"]} x {image["height"]}')
        if image['file_name'] in segments:
            path = root / 'panomasksRGB' / name / image['file_name']
            _check_mask(report, path, size, quick, category_ids, segments[image['file_name']])
        elif split != 'test':
            report.add('frame without mask', f'{frame_path}: no annotation')
    for stem in files.keys() - stems:
        report.add('mask without frame', str(files[stem]))
    return report


def _check_segments(report: Report, video: str, frames: list[str], annotations: Sequence[dict]) -> None:
    """Note frames and segments that are listed twice, frames of no video, and segments that change their class."""
    for names, key in ((frames, 'images'), ([frame['file_name'] for frame in annotations], 'annotations')):
        report.attempt('annotation', partial(require_unique, names, f'frame in {key}', f'video {video}'))
    class_of: dict[int, int] = {}
    for frame in annotations:
        where = f'video {video}, frame {frame["file_name"]}'
        if frame['file_name'] not in frames:
            report.add('annotation', f'{where}: is annotated, but not among the images of the video')
        ids = [segment['id'] for segment in frame['segments_info']]
        report.attempt('annotation', partial(require_unique, ids, 'segment', where))
        for segment in frame['segments_info']:
            before = class_of.setdefault(segment['id'], segment['category_id'])
            if before != segment['category_id']:
                report.add('annotation', f'{where}: segment {segment["id"]} has the category '
                                         f'{segment["category_id"]}, in an earlier frame {before}')


def _check_mask(report: Report, path: Path, size: tuple[int, int] | None, quick: bool, category_ids: set[int],
                segments: list[dict]) -> None:
    unknown = sorted({segment['category_id'] for segment in segments} - category_ids)
    if unknown:
        report.add('unknown id', f'{path}: segments of the categories {unknown}, which the annotation file does not '
                                 'define')
    mask_size = report.image_size(path, quick=True)
    if mask_size is None:
        return
    if size is not None and mask_size != size:
        report.add('size', f'{path}: {mask_size[0]} x {mask_size[1]}, its frame {size[0]} x {size[1]}')
    if quick:
        return
    try:
        ids, areas = np.unique(read_panoptic_map(str(path)), return_counts=True)
    except (OSError, ValueError) as error:
        report.add('unreadable file', str(error))
        return
    found = dict(zip(ids.tolist(), areas.tolist()))
    found.pop(0, None)
    listed = {segment['id']: segment for segment in segments}
    if found.keys() - listed.keys():
        report.add('unknown id', f'{path}: segments {sorted(found.keys() - listed.keys())} are not annotated')
    for segment_id, segment in listed.items():
        if found.get(segment_id, 0) != segment.get('area', found.get(segment_id, 0)):
            report.add('annotation', f'{path}: segment {segment_id} has {found.get(segment_id, 0)} pixels, its '
                                     f'annotation says {segment["area"]}')
