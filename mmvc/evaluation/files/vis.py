# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from mmvc.evaluation.functional import (
    MatchedTracks,
    match_video,
    range_names,
    track_scores,
    tracks_by_category,
    vis_classes,
    vis_numbers,
)
from mmvc.formats.youtube_vis import (
    labelled_frames,
    read_annotations,
    read_results,
    read_subsets,
    video_name,
    video_order,
)
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
                 subsets: Mapping[str, PathLike] | None = None) -> ScoreReport:
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
    matched = list(run_jobs(partial(_score_video, with_occlusion=with_occlusion, results=results,
                                    ann_file=ann_file), jobs, workers))

    names = truth.categories
    return ScoreReport(
        task='vis',
        numbers=vis_numbers({video['id']: of_video for video, of_video in zip(videos, matched)}, names,
                            range_names(with_occlusion), subset_ids),
        classes=vis_classes(tracks_by_category(matched, names), names),
        videos=[_video_row(job, of_job, names) for job, of_job in zip(jobs, matched)],
        sort_by='AP',
        missing=[],
        unused=[],
        notes=_without_detections(jobs) + note_of_labels(
            {video_name(video): (len(labelled_frames(video)), len(video['file_names'])) for video in videos}))


def _without_detections(videos: Sequence[VISVideo]) -> list[str]:
    """A note that names the videos without detections, if there are any."""
    silent = [video_name(video.info) for video in videos if not video.detections]
    return [f'{len(silent)} of {len(videos)} videos have no detections: {named(silent)}'] if silent else []


def _score_video(video: VISVideo, with_occlusion: bool, results: PathLike,
                 ann_file: PathLike) -> dict[int, MatchedTracks]:
    """Matched tracks of one video, by category."""
    info = video.info
    match = partial(match_video, video.annotations, height=info['height'], width=info['width'],
                    num_frames=len(info['file_names']), with_occlusion=with_occlusion,
                    labelled=labelled_frames(info))
    try:
        return match(video.detections)
    except ValueError as error:
        try:
            match([])
        except ValueError as of_truth:
            raise DataError(f'"{ann_file}", video {info["id"]}: {of_truth}') from of_truth
        raise DataError(f'"{results}", video {info["id"]}: {error}') from error


def _video_row(video: VISVideo, matched: dict[int, MatchedTracks], names: dict[int, str]) -> dict:
    scores = track_scores(tracks_by_category([matched], names))
    return dict(video=video_name(video.info), video_id=video.info['id'],
                frames=len(video.info['file_names']), tracks=len(video.annotations),
                detections=len(video.detections),
                **{name: scores[name] for name in ('AP', 'AP50', 'AP75', 'AR1', 'AR10')})
