# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmvc.evaluation.functional import (
    SCRIPT_WINDOWS,
    VPSCounter,
    VPSCounts,
    compare_panoptic,
    vps_classes,
    vps_summary,
)
from mmvc.formats.label_maps import read_panoptic_map
from mmvc.formats.vipseg import Annotations, Segments, find_masks, is_labelled, read_annotations, require_listed
from mmvc.formats.vipseg_results import Predictions, read_predictions
from mmvc.utils.errors import DataError, named
from mmvc.utils.files import require_placeholder
from mmvc.utils.jobs import prefetch, run_jobs
from mmvc.utils.typing import PathLike

from .completeness import compare_files, find_missing, leave_out, note_of_labels
from .report import ScoreReport


class VPSFrame(NamedTuple):
    """Files and segments of one frame; the prediction is None, without segments, if it is missing."""
    gt: str
    gt_segments: list[dict]
    pred: str | None
    pred_segments: list[dict]


class VPSVideo(NamedTuple):
    """One video, in the order of its frames."""
    name: str
    frames: list[VPSFrame]


def evaluate_vps(pred_dir: PathLike,
                 ann_file: PathLike,
                 masks: str,
                 workers: int = 1,
                 allow_missing: bool = False,
                 sparse_labels: bool = False) -> ScoreReport:
    """Score a folder of predictions in the format of VIPSeg (:mod:`mmvc.formats.vipseg_results`): VPQ and STQ.

    Args:
        pred_dir (str | Path): Folder of the predictions.
        ann_file (str | Path): JSON of the ground truth, such as ``panoptic_gt_VIPSeg_val.json``.
        masks (str): Folder of a video's true PNGs, with ``{video}`` in the place of its name.
        workers (int): Number of processes; the numbers do not depend on it. Defaults to 1.
        allow_missing (bool): Whether frames may be missing, in the folder or in the JSON. They count as void.
            Defaults to False.
        sparse_labels (bool): Whether only some frames of a video are labelled, see
            :func:`mmvc.formats.vipseg.is_labelled`. The others are not scored: windows and tubes are those of the
            labelled frames. Defaults to False.

    Returns:
        ScoreReport: Numbers as of :class:`VPSMetric`.

    Raises:
        FileNotFoundError: A folder or file is missing, or a frame of a video has no ground truth.
        DataError: A file is damaged or contradicts itself, a mask is of a frame that is not annotated, a prediction
            has another size than the ground truth, a PNG has an id that the JSON does not list, or a category does not
            exist.
    """
    require_placeholder(masks)
    truth = read_annotations(ann_file, list_videos=sparse_labels)
    if not truth.segments:
        raise DataError(f'"{ann_file}" has no annotations: nothing to compare with')
    predictions = read_predictions(pred_dir, len(truth.categories))

    unlabelled, segments = truth.unlabelled, truth.segments
    _require_folders(masks, list(segments), ann_file)
    if sparse_labels:
        segments, unlabelled = _labelled_segments(truth, masks)
    frames = {video: list(of_video) for video, of_video in segments.items()}
    for video, names in frames.items():
        require_listed(video, masks.replace('{video}', video), names, ann_file)
    files, unused = compare_files(predictions.masks, frames)
    listed = {video: predictions.segments.get(video, {}) for video in frames}
    unused = sorted({*unused, *(video for video in predictions.segments if video not in frames),
                     *(f'{video}/{name}' for video in frames for name in listed[video] if name not in frames[video])})
    if sparse_labels:
        unused = sorted(set(unused).difference(unlabelled))
        notes = note_of_labels({str(video['video_id']): (len(frames[str(video['video_id'])]), len(video['images']))
                                for video in truth.videos})
    else:
        notes = leave_out(unlabelled, 'an image', allow_missing)
    there = {video: {name: path for name, path in of_video.items() if name in listed[video]}
             for video, of_video in files.items()}
    missing = find_missing(frames, there, allow_missing, f'"{predictions.mask_file("<video>", "<frame>")}" and an '
                           f'entry of it in "{predictions.path}"')
    notes += leave_out([name for name in unused if '/' in name and name not in unlabelled], 'a prediction',
                       allow_missing)
    videos = [_pair_frames(video, segments, predictions, there[video], masks) for video in frames]
    counts: list[VPSCounts] = list(run_jobs(partial(_score_video, isthing=truth.isthing), videos, workers))
    numbers, total = vps_summary(counts, truth.isthing)
    return ScoreReport(
        task='vps',
        numbers=numbers,
        classes=vps_classes(total, truth.isthing, truth.class_names),
        videos=[_video_row(*row, truth.isthing) for row in zip(videos, counts)],
        sort_by='VPQ',
        missing=missing,
        unused=unused,
        notes=notes)


def _labelled_segments(truth: Annotations, masks: str) -> tuple[Segments, list[str]]:
    """Segments of the labelled frames, and the other frames, ``<video>/<frame>``."""
    labelled: Segments = {}
    unlabelled = []
    for video in truth.videos:
        name, known = str(video['video_id']), truth.segments.get(str(video['video_id']), {})
        files = find_masks(masks.replace('{video}', name), known)[0]
        frames = [Path(image['file_name']).stem for image in video['images']]
        kept = [frame for frame in frames if frame in known and is_labelled(known[frame], frame in files)]
        if not kept:
            raise DataError(f'"{truth.path}": no frame of video "{name}" is labelled; label one, or remove the video')
        labelled[name] = {frame: known[frame] for frame in kept}
        unlabelled += [f'{name}/{frame}' for frame in frames if frame not in labelled[name]]
    return labelled, unlabelled


def _require_folders(masks: str, videos: Sequence[str], ann_file: PathLike) -> None:
    absent = [video for video in videos if not Path(masks.replace('{video}', video)).is_dir()]
    if absent:
        raise FileNotFoundError(f'the folder of true masks "{masks}" does not exist for {len(absent)} of '
                                f'{len(videos)} videos of "{ann_file}": {named(absent)}. Name the folder of your '
                                'layout (--masks of the tool), or restore the masks')


def _pair_frames(video: str, truth: Segments, predictions: Predictions, there: Mapping[str, Path],
                 masks: str) -> VPSVideo:
    """The frames of a video's ground truth with their predictions, if they are there."""
    folder = masks.replace('{video}', video)
    gt = find_masks(folder, truth[video])[0]
    frames = []
    for name, gt_segments in truth[video].items():
        pred, pred_segments = None, []
        if name in there:
            pred, pred_segments = str(there[name]), predictions.segments[video][name]
        frames.append(VPSFrame(str(gt.get(name, Path(folder, f'{name}.png'))), gt_segments, pred, pred_segments))
    return VPSVideo(video, frames)


def _score_video(video: VPSVideo, isthing: Sequence[bool]) -> VPSCounts:
    counter = VPSCounter(isthing)
    maps = prefetch(_read, [path for frame in video.frames for path in (frame.gt, frame.pred)])
    for frame, gt, pred in zip(video.frames, maps, maps):
        try:
            pair = compare_panoptic(gt, np.zeros_like(gt) if pred is None else pred, frame.gt_segments,
                                    frame.pred_segments)
        except ValueError as error:
            raise DataError(f'prediction "{frame.pred}", ground truth "{frame.gt}": {error}') from error
        counter.update(pair)
    return counter.compute()


def _read(path: str | None) -> np.ndarray | None:
    return None if path is None else read_panoptic_map(path)


def _video_row(video: VPSVideo, counts: VPSCounts, isthing: Sequence[bool]) -> dict:
    numbers, _ = vps_summary([counts], isthing)
    names = ('VPQ', 'VPQ_thing', 'VPQ_stuff', *(f'VPQ{k}' for k in SCRIPT_WINDOWS), 'STQ', 'AQ', 'SQ')
    return dict(video=video.name, frames=len(video.frames), missing=sum(frame.pred is None for frame in video.frames),
                **{name: numbers[name] for name in names})
