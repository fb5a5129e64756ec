# Copyright (c) The mmvc contributors. All rights reserved.
import os.path as osp
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from mmvc.datasets.youtube_vis import CATEGORIES_SCHEMA
from mmvc.evaluation.functional import MatchedTracks, match_video, range_names, track_scores, vis_classes
from mmvc.evaluation.functional.tracks import OCCLUSION_LEVELS
from mmvc.formats.json_files import ID, read_json, require_unique
from mmvc.utils.errors import DataError
from mmvc.utils.jobs import run_jobs
from mmvc.utils.typing import PathLike

from .files import named
from .report import Report

_OCCLUSION = frozenset({None, *OCCLUSION_LEVELS})
_NUMBERS = (type(None), float)
_TRACK = {'video_id': ID, 'category_id': int, 'segmentations': [(type(None), dict, list)]}
_TRUTHS = {
    'videos': [{'id': ID, 'file_names': [str], 'height': int, 'width': int}],
    'categories': CATEGORIES_SCHEMA,
    'annotations?': [{**_TRACK, 'id': int, 'iscrowd?': (int, bool), 'areas?': [_NUMBERS], 'occlusion?': [_OCCLUSION]}],
}
_DETECTIONS = [{**_TRACK, 'score': float}]


class VISVideo(NamedTuple):
    """Entry of ``videos``, true tracks and detections of one video."""
    info: dict
    annotations: list[dict]
    detections: list[dict]


def evaluate_vis(results: PathLike, ann_file: PathLike, workers: int = 1) -> Report:
    """Score a ``results.json``: AP and AR of tracks.

    A video without detections is ordinary: its true tracks are missed.

    Args:
        results (str | Path): JSON as the servers of YouTube-VIS and OVIS take it: a list of ``dict(video_id,
            category_id, score, segmentations)``, one RLE or null for each frame.
        ann_file (str | Path): JSON of the ground truth in the format of YouTube-VIS or OVIS. If it tells the
            occlusion, AP and AR by occlusion are computed, too.
        workers (int): Number of processes; the numbers do not depend on it. Defaults to 1.

    Returns:
        Report: Numbers as of :class:`VISMetric`.

    Raises:
        FileNotFoundError: A file is missing.
        DataError: A file is damaged, there are no annotations, a video or category does not exist, or a track has
            another length or size than its video.
    """
    gt = read_json(ann_file, _TRUTHS, 'a ground truth in the format of YouTube-VIS')
    if not gt.get('annotations'):
        raise DataError(f'"{ann_file}" has no annotations, so there is no AP: those of the validation and test sets '
                        'are not public. Send results.json to the server of the benchmark')
    for key, what in (('videos', 'video id'), ('categories', 'category id'), ('annotations', 'annotation id')):
        require_unique((entry['id'] for entry in gt[key]), what, ann_file)
    detections = read_json(results, _DETECTIONS, 'a list of dict(video_id, category_id, score, segmentations)')
    for video in gt['videos']:
        if not video['file_names']:
            raise DataError(f'"{ann_file}": video {video["id"]} has no frames (file_names is empty)')
    _check_ids(gt['annotations'], gt, ann_file)
    _check_ids(detections, gt, results)

    of_video: dict[int, tuple[list[dict], list[dict]]] = defaultdict(lambda: ([], []))
    for side, entries in enumerate((gt['annotations'], detections)):
        for entry in entries:
            of_video[entry['video_id']][side].append(entry)
    videos = sorted(gt['videos'], key=lambda video: video['id'])  # decides on ties between videos
    jobs = [VISVideo(video, *of_video[video['id']]) for video in videos]
    with_occlusion = any('occlusion' in annotation for annotation in gt['annotations'])
    matched = list(run_jobs(partial(_score_video, with_occlusion=with_occlusion, results=results,
                                    ann_file=ann_file), jobs, workers))

    names = {category['id']: category['name'] for category in gt['categories']}
    by_category = _by_category(matched, names)
    return Report(
        task='vis',
        numbers=track_scores(by_category, range_names(with_occlusion)),
        classes=vis_classes(by_category, names),
        videos=[_video_row(job, of_job, names) for job, of_job in zip(jobs, matched)],
        sort_by='AP',
        missing=[],
        unused=[],
        notes=_without_detections(jobs))


def _check_ids(detections: list[dict], gt: dict, path: PathLike) -> None:
    """Raise an error if a detection, or a true track, is of a video or category that does not exist."""
    for key, entries in dict(video_id=gt['videos'], category_id=gt['categories']).items():
        unknown = {detection[key] for detection in detections} - {entry['id'] for entry in entries}
        if unknown:
            raise DataError(f'"{path}" has tracks with {key} {named(sorted(map(repr, unknown)))}, which the '
                            'ground truth does not have: is it of the same split and version?')


def _without_detections(videos: Sequence[VISVideo]) -> list[str]:
    """A note of the videos that nothing is detected in; none if there is no such video."""
    silent = [_name(video) for video in videos if not video.detections]
    return [f'{len(silent)} of {len(videos)} videos have no detections: {named(silent)}'] if silent else []


def _score_video(video: VISVideo, with_occlusion: bool, results: PathLike,
                 ann_file: PathLike) -> dict[int, MatchedTracks]:
    """Matched tracks of one video, by category."""
    info = video.info
    match = partial(match_video, video.annotations, height=info['height'], width=info['width'],
                    num_frames=len(info['file_names']), with_occlusion=with_occlusion)
    try:
        return match(video.detections)
    except ValueError as error:
        try:
            match([])
        except ValueError as of_truth:
            raise DataError(f'"{ann_file}", video {info["id"]}: {of_truth}') from of_truth
        raise DataError(f'"{results}", video {info["id"]}: {error}') from error


def _by_category(matched: Sequence[dict[int, MatchedTracks]], ids: Iterable[int]) -> dict[int, list[MatchedTracks]]:
    return {category_id: [of_video[category_id] for of_video in matched if category_id in of_video]
            for category_id in ids}


def _name(video: VISVideo) -> str:
    """The folder of a video, or its id."""
    return osp.dirname(video.info['file_names'][0]) or str(video.info['id'])


def _video_row(video: VISVideo, matched: dict[int, MatchedTracks], names: dict[int, str]) -> dict:
    scores = track_scores(_by_category([matched], names))
    return dict(video=_name(video), video_id=video.info['id'],
                frames=len(video.info['file_names']), tracks=len(video.annotations),
                detections=len(video.detections),
                **{name: scores[name] for name in ('AP', 'AP50', 'AP75', 'AR1', 'AR10')})
