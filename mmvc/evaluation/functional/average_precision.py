# Copyright (c) The mmvc contributors. All rights reserved.
"""Average precision and recall of instance tracks (Yang et al., Video Instance Segmentation, ICCV 2019)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALL_THRESHOLDS = np.linspace(0, 1, 101)
MAX_DETECTIONS = 100


class MatchedTracks(NamedTuple):
    """The matched detections of one category in one video, for R ranges and T = 10 thresholds.

    Attributes:
        scores (np.ndarray): Scores of at most 100 detections, falling, shape (D, ).
        hits (np.ndarray): Whether the detection has a match, bool, shape (R, T, D).
        ignored (np.ndarray): Whether it counts neither as hit nor as false alarm, bool, shape (R, T, D).
        num_truths (np.ndarray): True tracks in each range, int64, shape (R, ).
    """
    scores: np.ndarray
    hits: np.ndarray
    ignored: np.ndarray
    num_truths: np.ndarray


def match_tracks(scores: np.ndarray, iou: np.ndarray, crowd: np.ndarray, truth_outside: np.ndarray,
                 detection_outside: np.ndarray) -> MatchedTracks:
    """Match the detections of one category in one video with the true tracks, greedily by score.

    Each detection takes the free true track with the highest IoU, if that reaches the threshold (of equals, the later
    one). Tracks in the range come first, then the others and the crowds. Detections that match one of the latter, and
    unmatched detections outside the range, are ignored. A crowd can match several detections.

    Args:
        scores (np.ndarray): Shape (D, ).
        iou (np.ndarray): Track IoU, shape (D, G).
        crowd (np.ndarray): True tracks that are crowds, bool, shape (G, ).
        truth_outside (np.ndarray): True tracks outside each range, bool, shape (R, G).
        detection_outside (np.ndarray): Detections outside each range, bool, shape (R, D).

    Returns:
        MatchedTracks: Detections by falling score, equal ones in their given order.
    """
    order = np.argsort(-scores, kind='stable')[:MAX_DETECTIONS]
    scores, iou, detection_outside = scores[order], iou[order], detection_outside[:, order]
    num_ranges, num_truths = truth_outside.shape
    shape = (num_ranges, len(IOU_THRESHOLDS), len(order))
    hits, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    truth_ignored = truth_outside | crowd
    thresholds = IOU_THRESHOLDS[None, :, None]
    free = np.ones((num_ranges, len(IOU_THRESHOLDS), num_truths), bool)
    for d in range(len(order) if num_truths else 0):
        candidates = free & (iou[d] >= thresholds)
        wanted = candidates & ~truth_ignored[:, None]
        candidates = np.where(wanted.any(-1, keepdims=True), wanted, candidates)
        # argmax of the reversed array: the last of equally good ones
        best = num_truths - 1 - np.where(candidates, iou[d], -1)[..., ::-1].argmax(-1)
        found = candidates.any(-1)
        hits[..., d] = found
        ignored[..., d] = found & np.take_along_axis(truth_ignored, best, axis=1)
        r, t = np.nonzero(found & ~crowd[best])
        free[r, t, best[r, t]] = False
    ignored |= ~hits & detection_outside[:, None]
    return MatchedTracks(scores, hits, ignored, (~truth_ignored).sum(axis=1))


class APScores(NamedTuple):
    """Scores of one category in one range; NaN without a true track.

    Attributes:
        precision (np.ndarray): Mean interpolated precision per IoU threshold, shape (10, ).
        recall (dict[int, np.ndarray]): Recall per IoU threshold, by maximum number of detections per video.
    """
    precision: np.ndarray
    recall: dict[int, np.ndarray]


def category_scores(videos: Sequence[MatchedTracks],
                    range_index: int = 0,
                    max_detections: Sequence[int] = (1, 10, 100)) -> APScores:
    """Average precision and recall of one category in one range.

    Args:
        videos (Sequence[MatchedTracks]): One entry per video, in the order of the videos (it decides on ties).
        range_index (int): Which range. Defaults to 0.
        max_detections (Sequence[int]): Numbers of detections for the recall. Defaults to (1, 10, 100).

    Returns:
        APScores: Fractions.
    """
    num_truths = sum(int(video.num_truths[range_index]) for video in videos)
    num_thresholds = len(IOU_THRESHOLDS)
    if num_truths == 0:
        nowhere = np.full(num_thresholds, np.nan)
        return APScores(nowhere, dict.fromkeys(max_detections, nowhere))
    hits = np.concatenate([video.hits[range_index] & ~video.ignored[range_index] for video in videos], axis=1)
    misses = np.concatenate([~video.hits[range_index] & ~video.ignored[range_index] for video in videos], axis=1)
    rank = np.concatenate([np.arange(len(video.scores)) for video in videos])
    order = np.argsort(-np.concatenate([video.scores for video in videos]), kind='stable')
    true_positives, false_positives = hits[:, order].cumsum(axis=1), misses[:, order].cumsum(axis=1)
    recall = true_positives / num_truths
    precision = true_positives / np.maximum(true_positives + false_positives, 1)
    # interpolation: the best precision at this recall or a higher one
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    average = np.zeros(num_thresholds)
    for t in range(num_thresholds):
        reached = np.searchsorted(recall[t], RECALL_THRESHOLDS, side='left')
        reached = reached[reached < recall.shape[1]]
        average[t] = envelope[t, reached].sum() / len(RECALL_THRESHOLDS)
    return APScores(average, {n: hits[:, rank < n].sum(axis=1) / num_truths for n in max_detections})


def track_scores(categories: Mapping[int, Sequence[MatchedTracks]],
                 ranges: Sequence[str] = ('all', )) -> dict[str, float]:
    """The table of YouTube-VIS and OVIS.

    Args:
        categories (Mapping[int, Sequence[MatchedTracks]]): Entries of each category, one per video, in the order of
            the videos.
        ranges (Sequence[str]): Names of the ranges of the entries; the first takes in every track. Defaults to
            ('all', ).

    Returns:
        dict: ``AP``, ``AP50``, ``AP75``, ``AR1``, ``AR10``, ``AR100`` and ``AP<range>``, ``AR<range>`` for the further
        ranges; fractions, means over the categories that have a true track (in the range); NaN if none has.
    """
    per_range = [[category_scores(videos, index) for videos in categories.values()] for index in range(len(ranges))]
    every = per_range[0]
    table = dict(
        AP=_mean(scores.precision for scores in every),
        AP50=_mean(scores.precision[:1] for scores in every),
        AP75=_mean(scores.precision[5:6] for scores in every),
        **{f'AR{n}': _mean(scores.recall[n] for scores in every) for n in (1, 10, 100)})
    for name, scores_of_range in list(zip(ranges, per_range))[1:]:
        table[f'AP{name}'] = _mean(scores.precision for scores in scores_of_range)
        table[f'AR{name}'] = _mean(scores.recall[100] for scores in scores_of_range)
    return table


def _mean(values: Iterable[np.ndarray]) -> float:
    """Mean over categories and thresholds, without the categories that have no true track."""
    values = [value for value in values if not np.isnan(value).any()]
    return float(np.mean(values)) if values else float('nan')
