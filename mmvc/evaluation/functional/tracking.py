# Copyright (c) The mmvc contributors. All rights reserved.
"""J&F, IDF1 and HOTA of tracks in the formats of YouTube-VIS and OVIS, category by category."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pycocotools import mask as mask_utils
from scipy.optimize import linear_sum_assignment

from mmvc.utils.choices import MIN_TRACK_SCORE

from .hota import HOTACounts, add_hota, count_hota, hota_scores
from .idf1 import MIN_IOU, IDCounts, add_identities, count_identities, identity_scores
from .jf import jf_scores, track_statistics
from .tracks import FrameOverlap, Track, frame_overlaps, to_tracks, track_areas

#: the numbers that tables of classes and videos have
SHORT_TRACKING = ('JF', 'IDF1', 'HOTA', 'AssA')


class TrackingCounts(NamedTuple):
    """Counts of one category in one video.

    Attributes:
        objects (np.ndarray): Statistics of J and F of each true track, see :func:`track_statistics`, shape (G, 6).
        identities (IDCounts): Counts of IDF1.
        hota (HOTACounts): Counts of HOTA.
    """
    objects: np.ndarray
    identities: IDCounts
    hota: HOTACounts


def count_tracking(annotations: Sequence[dict],
                   detections: Sequence[dict],
                   height: int,
                   width: int,
                   num_frames: int,
                   min_score: float = MIN_TRACK_SCORE,
                   labelled: Sequence[int] | None = None) -> dict[int, TrackingCounts]:
    """Compare the detections of one video with its true tracks, category by category.

    Tracks that are never visible in the frames that count are left out. A crowd is no object. A predicted mask of its
    category without a match that lies on it by more than half does not count in IDF1 and HOTA.

    Args:
        annotations (Sequence[dict]): ``annotations`` of this video: ``category_id``, ``segmentations`` and,
            optionally, ``iscrowd``.
        detections (Sequence[dict]): Predicted tracks of this video: ``category_id``, ``score``, ``segmentations``.
        height (int): Height of the frames, in pixels.
        width (int): Width of the frames, in pixels.
        num_frames (int): Number of frames.
        min_score (float): Detections with a lower score are left out. Defaults to 0.3.
        labelled (Sequence[int], optional): The frames that have ground truth, from 0; the others do not count.
            Defaults to None: all.

    Returns:
        dict[int, TrackingCounts]: By category id, for the categories that occur.

    Raises:
        ValueError: If a track has not one mask (or null) for each frame, or a mask has another size.
    """
    frames = list(range(num_frames)) if labelled is None else sorted(labelled)
    if not frames:
        return {}
    kept = [detection for detection in detections if detection['score'] >= min_score]
    counts = {}
    for category_id in {entry['category_id']: None for entry in (*annotations, *kept)}:
        truths, crowds, found = (
            to_tracks([entry for entry in entries
                       if entry['category_id'] == category_id and bool(entry.get('iscrowd', 0)) == is_crowd],
                      height, width, num_frames)
            for entries, is_crowd in ((annotations, False), (annotations, True), (kept, False)))
        truths, found = ([track for track in tracks if track_areas(_take(track, frames)).any()]
                         for tracks in (truths, found))
        overlaps = frame_overlaps(truths, found, frames)
        objects = track_statistics(truths, found, frames, overlaps)
        if crowds:
            overlaps = [_without_crowds(overlap, *([track[t] for track in tracks] for tracks in (found, crowds)))
                        for overlap, t in zip(overlaps, frames)]
        counts[category_id] = TrackingCounts(objects, count_identities(overlaps, len(truths), len(found)),
                                             count_hota(overlaps, len(truths), len(found)))
    return counts


def _take(track: Track, frames: Iterable[int]) -> Track:
    return [track[t] for t in frames]


def _without_crowds(overlap: FrameOverlap, found: Sequence[dict | None],
                    crowds: Sequence[dict | None]) -> FrameOverlap:
    """Take the detections out of a frame that match no object and lie on a crowd by more than half."""
    truths, detections, iou = overlap
    crowds = [rle for rle in crowds if rle]
    if not (crowds and len(detections)):
        return overlap
    rows, columns = linear_sum_assignment(np.where(iou >= MIN_IOU, iou, 0), maximize=True)
    matched = columns[iou[rows, columns] >= MIN_IOU]
    inside = mask_utils.iou([found[d] for d in detections], [mask_utils.merge(crowds)], [1])[:, 0] > 0.5
    inside[matched] = False
    return FrameOverlap(truths, detections[~inside], iou[:, ~inside])


def tracking_scores(parts: Iterable[TrackingCounts]) -> dict[str, float]:
    """Scores of videos, categories or both: objects and masks are pooled.

    Args:
        parts (Iterable[TrackingCounts]): Their counts.

    Returns:
        dict[str, float]: Those of :func:`jf_scores`, :func:`identity_scores` and :func:`hota_scores`.
    """
    parts = list(parts)
    return dict(
        **jf_scores(part.objects for part in parts),
        **identity_scores(add_identities(part.identities for part in parts)),
        **hota_scores(add_hota(part.hota for part in parts)))


def tracking_numbers(videos: Iterable[Mapping[int, TrackingCounts]],
                     category_ids: Collection[int]) -> dict[str, float]:
    """The numbers of a dataset.

    Args:
        videos (Iterable[Mapping[int, TrackingCounts]]): Result of :func:`count_tracking` for each video.
        category_ids (Collection[int]): The categories.

    Returns:
        dict[str, float]: :func:`tracking_scores` over all categories, and ``mIDF1`` and ``mHOTA``, the means over the
        categories that ground truth or prediction has; fractions, NaN where not defined.
    """
    videos = list(videos)
    numbers = tracking_scores(part for video in videos for part in video.values())
    per_class = tracking_classes(videos, category_ids).values()
    for name in ('IDF1', 'HOTA'):
        values = [scores[name] for scores in per_class if not np.isnan(scores[name])]
        numbers[f'm{name}'] = float(np.mean(values)) if values else float('nan')
    return numbers


def tracking_classes(videos: Iterable[Mapping[int, TrackingCounts]],
                     category_ids: Iterable[int]) -> dict[int, dict[str, float]]:
    """The scores of each category, see :func:`tracking_scores`.

    Args:
        videos (Iterable[Mapping[int, TrackingCounts]]): Result of :func:`count_tracking` for each video.
        category_ids (Iterable[int]): The categories.
    """
    videos = list(videos)
    return {category_id: tracking_scores(video[category_id] for video in videos if category_id in video)
            for category_id in category_ids}


def add_tracking(rows: Iterable[dict], videos: Iterable[Mapping[int, TrackingCounts]],
                 names: Mapping[int, str]) -> list[dict]:
    """Extend the rows of :func:`vis_classes` by the most important scores.

    Args:
        rows (Iterable[dict]): Rows with the name of a category as ``class``.
        videos (Iterable[Mapping[int, TrackingCounts]]): Result of :func:`count_tracking` for each video.
        names (Mapping[int, str]): Name of each category id.
    """
    scores = {names[category_id]: of_class for category_id, of_class in tracking_classes(videos, names).items()}
    return [dict(row, **{name: scores[row['class']][name] for name in SHORT_TRACKING}) for row in rows]
