# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmvc.datasets.vipseg import ANNOTATIONS_SCHEMA, CATEGORIES_SCHEMA
from mmvc.evaluation.functional import (
    SCRIPT_WINDOWS,
    STQ_VARIANTS,
    SegmentationTrackingQuality,
    VideoPanopticQuality,
    compare_panoptic,
    isthing_of,
    vps_classes,
    vps_numbers,
)
from mmvc.evaluation.metrics.utils import to_dense, to_sparse
from mmvc.evaluation.metrics.vps_metric import stq_counts
from mmvc.formats.json_files import read_json, require_unique
from mmvc.formats.label_maps import read_panoptic_map
from mmvc.utils.errors import DataError
from mmvc.utils.files import require_placeholder
from mmvc.utils.jobs import prefetch, run_jobs
from mmvc.utils.typing import PathLike

from .files import compare_files, find_missing
from .report import Report

Segments = list[dict]


class VPSVideo(NamedTuple):
    """Files and segments of one video, in the order of its frames; None where there is no prediction."""
    name: str
    gt: list[str]
    gt_segments: list[Segments]
    pred: list[str | None]
    pred_segments: list[Segments]


def evaluate_vps(pred_dir: PathLike,
                 ann_file: PathLike,
                 masks: str,
                 workers: int = 1,
                 allow_missing: bool = False) -> Report:
    """Score ``<pred_dir>/pan_pred/<video>/<frame>.png`` with ``<pred_dir>/pred.json``: VPQ and STQ.

    Args:
        pred_dir (str | Path): Folder of the predictions, in the format of VIPSeg: colour PNGs whose R + 256 G + 65536
            B is a segment's id (0: void), and the category of each segment in the JSON.
        ann_file (str | Path): JSON of the ground truth, such as ``panoptic_gt_VIPSeg_val.json``.
        masks (str): Folder of a video's true PNGs, with ``{video}`` in the place of its name.
        workers (int): Number of processes; the numbers do not depend on it. Defaults to 1.
        allow_missing (bool): Whether frames may be missing, in the folder or in the JSON. They count as void.
            Defaults to False.

    Returns:
        Report: Numbers as of :class:`VPSMetric`.

    Raises:
        FileNotFoundError: A folder or file is missing.
        DataError: A file is damaged, a prediction has another size than the ground truth, a PNG has an id that the
            JSON does not list, or a category does not exist.
    """
    require_placeholder(masks)
    gt = read_json(ann_file, {'annotations': ANNOTATIONS_SCHEMA, 'categories': CATEGORIES_SCHEMA},
                   'a file like panoptic_gt_VIPSeg_val.json')
    require_unique((category['id'] for category in gt['categories']), 'category id', ann_file)
    gt_segments = _segments_by_frame(gt, ann_file)
    if not gt_segments:
        raise DataError(f'"{ann_file}" has no annotations: nothing to compare with')
    try:
        isthing = isthing_of(gt['categories'])
    except ValueError as error:
        raise DataError(f'"{ann_file}": {error}') from error
    _check_categories(gt_segments, len(isthing), ann_file)
    pred_file = Path(pred_dir, 'pred.json')
    pred = read_json(pred_file, {'annotations': ANNOTATIONS_SCHEMA},
                     'the segments of the PNGs in "pan_pred", beside it')
    pred_segments = _segments_by_frame(pred, pred_file)
    _check_categories(pred_segments, len(isthing), pred_file)

    frames = {video: list(of_video) for video, of_video in gt_segments.items()}
    there, unused = compare_files(Path(pred_dir, 'pan_pred'), frames)
    there = {video: names & set(pred_segments.get(video, ())) for video, names in there.items()}
    missing = find_missing(frames, there, allow_missing,
                           f'"{pred_dir}/pan_pred/<video>/<frame>.png" and an entry of it in "{pred_file}"')
    jobs = [
        VPSVideo(
            name=video,
            gt=[str(Path(masks.replace('{video}', video), f'{name}.png')) for name in names],
            gt_segments=[gt_segments[video][name] for name in names],
            pred=[str(Path(pred_dir, 'pan_pred', video, f'{name}.png')) if name in there[video] else None
                  for name in names],
            pred_segments=[pred_segments[video][name] if name in there[video] else [] for name in names])
        for video, names in frames.items()
    ]
    entries = list(run_jobs(partial(_score_video, isthing=isthing), jobs, workers))

    total = to_dense(entries[0]['vpq'])
    for entry in entries[1:]:
        total += to_dense(entry['vpq'])
    names = [category['name'] for category in sorted(gt['categories'], key=lambda category: category['id'])]
    return Report(
        task='vps',
        numbers=vps_numbers(total, {key: stq_counts(entries, key) for key in STQ_VARIANTS}, isthing),
        classes=vps_classes(total, isthing, names),
        videos=[_video_row(job, entry, isthing) for job, entry in zip(jobs, entries)],
        sort_by='VPQ',
        missing=missing,
        unused=unused)


def _segments_by_frame(content: dict, path: PathLike) -> dict[str, dict[str, Segments]]:
    """Segments by video and by name of the frame, without suffix.

    Raises:
        DataError: A video, a frame of a video or a segment of a frame occurs twice.
    """
    require_unique((str(video['video_id']) for video in content['annotations']), 'video', path)
    segments = {}
    for video in content['annotations']:
        where = f'of video "{video["video_id"]}"'
        names = [Path(frame['file_name']).stem for frame in video['annotations']]
        require_unique(names, f'frame {where}', path)
        for name, frame in zip(names, video['annotations']):
            require_unique((segment['id'] for segment in frame['segments_info']), f'segment of "{name}" {where}', path)
        segments[str(video['video_id'])] = {
            name: frame['segments_info'] for name, frame in zip(names, video['annotations'])
        }
    return segments


def _check_categories(segments: dict[str, dict[str, Segments]], num_classes: int,
                      path: PathLike) -> None:
    for video, frames in segments.items():
        for name, listed in frames.items():
            for segment in listed:
                if not 0 <= segment['category_id'] < num_classes:
                    raise DataError(f'"{path}": segment {segment["id"]} of frame "{name}" of video "{video}" has the '
                                    f'category {segment["category_id"]}, the categories are 0..{num_classes - 1}')


def _score_video(video: VPSVideo, isthing: Sequence[bool]) -> dict[str, Any]:
    """Counts of one video."""
    quality = VideoPanopticQuality(len(isthing))
    tubes = {name: SegmentationTrackingQuality(isthing, crowd) for name, crowd in STQ_VARIANTS.items()}
    maps = prefetch(_read, [path for pair in zip(video.gt, video.pred) for path in pair])
    for t, (gt, pred) in enumerate(zip(maps, maps)):
        try:
            frame = compare_panoptic(gt, np.zeros_like(gt) if pred is None else pred, video.gt_segments[t],
                                     video.pred_segments[t])
        except ValueError as error:
            raise DataError(f'prediction "{video.pred[t]}", ground truth "{video.gt[t]}": {error}') from error
        quality.update(frame)
        for tube in tubes.values():
            tube.update(frame)
    counts = {name: tube.compute() for name, tube in tubes.items()}
    return dict(
        vpq=to_sparse(quality.counts),
        confusion=to_sparse(counts[''].confusion),  # the same in all variants
        tubes={name: (of_variant.association, of_variant.num_tubes) for name, of_variant in counts.items()})


def _read(path: str | None) -> np.ndarray | None:
    return None if path is None else read_panoptic_map(path)


def _video_row(video: VPSVideo, entry: dict[str, Any], isthing: Sequence[bool]) -> dict:
    numbers = vps_numbers(to_dense(entry['vpq']), {'': stq_counts([entry], '')}, isthing)
    names = ('VPQ', 'VPQ_thing', 'VPQ_stuff', *(f'VPQ{k}' for k in SCRIPT_WINDOWS), 'STQ', 'AQ', 'SQ')
    return dict(video=video.name, frames=len(video.gt), missing=video.pred.count(None),
                **{name: numbers[name] for name in names})
