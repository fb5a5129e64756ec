# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from mmvc.evaluation.functional import (
    SHORT_TRACKING,
    MatchedTracks,
    TrackingCounts,
    add_tracking,
    count_tracking,
    match_video,
    range_names,
    track_scores,
    tracking_numbers,
    tracking_scores,
    tracks_by_category,
    vis_classes,
    vis_numbers,
)
from mmvc.formats.youtube_vis import (
    labelled_frames,
    read_annotations,
    read_subsets,
    video_name,
    video_order,
)
from mmvc.formats.youtube_vis_results import read_results
from mmvc.utils.errors import DataError, named
from mmvc.utils.jobs import run_jobs
from mmvc.utils.typing import PathLike

from .completeness import note_of_labels
from .report import ScoreReport


class VISVideo(NamedTuple):
    """Entry of ``videos``, true tracks and detections of one video."""
    info: dict
    annotations: list[dict]
    detections: list[dict]


def evaluate_vis(results: PathLike,
                 ann_file: PathLike,
                 workers: int = 1,
                 subsets: Mapping[str, PathLike] | None = None,
                 tracking_min_score: float | None = None) -> ScoreReport:
    """Score tracks in the format of YouTube-VIS (:mod:`mmvc.formats.youtube_vis`): AP and AR.

    A video without detections is ordinary: its true tracks are missed. Of a video whose ``labelled_frames`` the ground
    truth lists, only these are compared.

    Args:
        results (str | Path): JSON of the predictions, see :func:`read_results`.
        ann_file (str | Path): JSON of the ground truth in the format of YouTube-VIS or OVIS. If it has
            levels of occlusion, AP and AR by occlusion are computed, too.
        workers (int): Number of processes; the numbers do not depend on it. Defaults to 1.
        subsets (Mapping[str, str | Path], optional): Names of subsets, each with the file that lists its videos, see
            :func:`read_subsets`. Defaults to None.
        tracking_min_score (float, optional): Also compute J&F, IDF1 and HOTA, of the tracks with at least this score.
            Defaults to None: not computed.

    Returns:
        ScoreReport: Numbers as of :class:`VISMetric`.

    Raises:
        FileNotFoundError: A file is missing.
        DataError: A file is damaged or contradicts itself, there are no annotations, a video or category does not
            exist, or a track has another length or size than its video.
    """
    truth = read_annotations(ann_file)
    if not truth.tracks:
        raise DataError(f'"{ann_file}" has no annotations, so there is no AP: those of the validation and test sets '
                        'are not public. Send the results to the server of the benchmark')
    subset_ids = read_subsets(subsets or {}, truth)
    detections = read_results(results, truth)
    videos = sorted(truth.videos, key=lambda video: video_order(video['id']))  # decides on ties between videos
    jobs = [VISVideo(video, *(tracks.get(video['id'], []) for tracks in (truth.tracks, detections)))
            for video in videos]
    with_occlusion = truth.with_occlusion
    scored = list(run_jobs(partial(_score_video, with_occlusion=with_occlusion, tracking_min_score=tracking_min_score,
                                   results=results, ann_file=ann_file), jobs, workers))
    matched = [video.matched for video in scored]

    names = truth.categories
    numbers = vis_numbers({video['id']: of_video for video, of_video in zip(videos, matched)}, names,
                          range_names(with_occlusion), subset_ids)
    classes = vis_classes(tracks_by_category(matched, names), names)
    if tracking_min_score is not None:
        tracking = [video.tracking for video in scored]
        numbers.update(tracking_numbers(tracking, names))
        classes = add_tracking(classes, tracking, names)
    return ScoreReport(
        task='vis',
        numbers=numbers,
        classes=classes,
        videos=[_video_row(job, of_job, names, tracking_min_score is not None) for job, of_job in zip(jobs, scored)],
        sort_by='AP',
        missing=[],
        unused=[],
        notes=_without_detections(jobs) + note_of_labels(
            {video_name(video): (len(labelled_frames(video)), len(video['file_names'])) for video in videos}))


def _without_detections(videos: Sequence[VISVideo]) -> list[str]:
    """A note that names the videos without detections, if there are any."""
    silent = [video_name(video.info) for video in videos if not video.detections]
    return [f'{len(silent)} of {len(videos)} videos have no detections: {named(silent)}'] if silent else []


class ScoredVideo(NamedTuple):
    """Matched tracks of a video, and its counts of J&F, IDF1 and HOTA (empty if they are not wanted), by category."""
    matched: dict[int, MatchedTracks]
    tracking: dict[int, TrackingCounts]


def _score_video(video: VISVideo, with_occlusion: bool, tracking_min_score: float | None, results: PathLike,
                 ann_file: PathLike) -> ScoredVideo:
    info = video.info
    height, width, num_frames = info['height'], info['width'], len(info['file_names'])
    labelled = labelled_frames(info)
    match = partial(match_video, video.annotations, height=height, width=width, num_frames=num_frames,
                    with_occlusion=with_occlusion, labelled=labelled)
    try:
        matched = match(video.detections)
        tracking = {} if tracking_min_score is None else count_tracking(
            video.annotations, video.detections, height, width, num_frames, tracking_min_score, labelled)
        return ScoredVideo(matched, tracking)
    except ValueError as error:
        try:
            match([])
        except ValueError as of_truth:
            raise DataError(f'"{ann_file}", video {info["id"]}: {of_truth}') from of_truth
        raise DataError(f'"{results}", video {info["id"]}: {error}') from error


def _video_row(video: VISVideo, scored: ScoredVideo, names: dict[int, str], with_tracking: bool) -> dict:
    scores = track_scores(tracks_by_category([scored.matched], names))
    tracking = tracking_scores(scored.tracking.values())
    return dict(video=video_name(video.info), video_id=video.info['id'],
                frames=len(video.info['file_names']), tracks=len(video.annotations),
                detections=len(video.detections),
                **{name: scores[name] for name in ('AP', 'AP50', 'AP75', 'AR1', 'AR10')},
                **{name: tracking[name] for name in (SHORT_TRACKING if with_tracking else ())})
