# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmvc.datasets.metainfo.vspw import VSPW_CLASSES
from mmvc.datasets.vipseg import VIPSegDataset
from mmvc.formats import vipseg
from mmvc.formats.label_maps import VOID_ID, read_panoptic_map
from mmvc.utils.files import other_images
from mmvc.utils.jobs import run_jobs

from .report import CheckReport

NUM_VIDEOS = dict(train=2806, val=343, test=387)


def check_vipseg(root: Path,
                 splits: Sequence[str] = ('train', 'val'),
                 workers: int = 1,
                 quick: bool = False,
                 own: bool = False,
                 sparse_labels: bool = False) -> CheckReport:
    """Check a converted VIPSeg, or your own dataset in its format.

    Args:
        root (Path): Root of the dataset.
        splits (sequence[str]): Splits. Defaults to those with public annotations.
        workers (int): Number of processes. Defaults to 1.
        quick (bool): Whether to read only the headers of images and no mask values. Defaults to False.
        own (bool): Whether it is another dataset in this format, whose totals and classes are not known. Defaults to
            False.
        sparse_labels (bool): Whether frames may have no labels, but for one frame of each video. Defaults to False.

    Returns:
        CheckReport: The findings.
    """
    report = CheckReport()
    for split in splits:
        known = len(report.problems)
        path = root / vipseg.ann_file(split)
        report.count(split, videos=0, frames=0, labelled=0)
        content = report.read_json(path, vipseg.SCHEMA)
        if content is None:
            continue
        names = {category['id']: category['name'] for category in content['categories']}
        if not own and names != dict(enumerate(VSPW_CLASSES)):
            report.add('annotation', f'{path}: the categories are not the 124 classes of VIPSeg in their order')
        if not report.add_faults(vipseg.find_faults(content, path)):
            continue
        annotations = {video['video_id']: video['annotations'] for video in content['annotations']}
        jobs = [(video, annotations.get(video['video_id'])) for video in content['videos']]
        for video_report in run_jobs(partial(_check_video, root, split, quick, sparse_labels), jobs, workers):
            report.merge(video_report)
        if len(report.problems) == known:
            dataset = partial(VIPSegDataset, ann_file=path.name, data_root=str(root), test_mode=split == 'test',
                              metainfo=dict(classes=[names[index] for index in sorted(names)]),
                              sparse_labels=sparse_labels, lazy_init=True)
            report.attempt_to_load(dataset)
    if not own:
        for split in splits:
            report.expect(split, 'videos', NUM_VIDEOS[split])
    return report


def _check_video(root: Path, split: str, quick: bool, is_sparse: bool, job: tuple[dict, list | None]) -> CheckReport:
    report = CheckReport()
    video, annotations = job
    name = str(video['video_id'])
    segments = {Path(frame['file_name']).stem: frame['segments_info'] for frame in annotations or ()}
    masks = report.files_in(root / vipseg.MASKS / name, ('.png', ))
    folder = vipseg.frame_file(root, name, '').parent
    frames = report.files_in(folder, ('.jpg', ))
    stems = {Path(image['file_name']).stem: image for image in video['images']}
    if is_sparse:
        labelled = [stem for stem in stems if vipseg.is_labelled(segments.get(stem), stem in masks)]
        report.count_labels(split, name, len(labelled), len(stems))
    else:
        labelled = list(stems)
    report.count(split, videos=1, frames=len(video['images']), labelled=len(segments.keys() & set(labelled)))
    for stem, image in stems.items():
        frame_path = frames.get(stem, vipseg.frame_file(root, name, stem))
        size = report.image_size(frame_path, quick)
        if size is not None:
            report.sizes[size] += 1
            if size != (image['width'], image['height']):
                report.add('size', f'{frame_path}: {size[0]} x {size[1]}, its annotation '
                                   f'{image["width"]} x {image["height"]}')
        if stem not in labelled:
            continue
        if stem in segments:
            path = masks.get(stem, vipseg.mask_file(root, name, stem))
            _check_mask(report, path, size, quick, segments[stem])
        elif split != 'test':
            report.add('frame without mask', f'{frame_path}: no annotation')
    report.others += other_images(folder, {path.name for stem, path in frames.items() if stem in stems})
    for stem in masks.keys() - stems.keys():
        report.add('mask without frame', str(masks[stem]))
    return report


def _check_mask(report: CheckReport, path: Path, size: tuple[int, int] | None, quick: bool,
                segments: list[dict]) -> None:
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
    found.pop(VOID_ID, None)
    listed = {segment['id']: segment for segment in segments}
    if found.keys() - listed.keys():
        report.add('unknown id', f'{path}: segments {sorted(found.keys() - listed.keys())} are not annotated')
    for segment_id, segment in listed.items():
        if found.get(segment_id, 0) != segment.get('area', found.get(segment_id, 0)):
            report.add('annotation', f'{path}: segment {segment_id} has {found.get(segment_id, 0)} pixels, its '
                                     f'annotation says {segment["area"]}')
