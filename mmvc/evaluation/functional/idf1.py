# Copyright (c) The mmvc contributors. All rights reserved.
"""Identity F1 (Ristani et al., Performance measures and a data set for multi-target tracking, 2016), with masks."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .tracks import FrameOverlap

MIN_IOU = 0.5
IDENTITY_NUMBERS = ('IDF1', 'IDP', 'IDR')


class IDCounts(NamedTuple):
    """Masks of a video, after each true track got at most one predicted track. Those of videos can be added.

    Attributes:
        idtp (int): Pairs of masks with an IoU of at least 0.5, in assigned tracks.
        idfn (int): The other true masks.
        idfp (int): The other predicted masks.
    """
    idtp: int
    idfn: int
    idfp: int


def count_identities(overlaps: Sequence[FrameOverlap], num_truths: int, num_detections: int) -> IDCounts:
    """Assign predicted tracks to true ones, one to one over the whole video, so that most masks match.

    Args:
        overlaps (Sequence[FrameOverlap]): IoU in each frame, see :func:`frame_overlaps`.
        num_truths (int): Number of true tracks.
        num_detections (int): Number of predicted tracks.

    Returns:
        IDCounts: The counts.
    """
    matches = np.zeros((num_truths, num_detections), np.int64)
    for truths, detections, iou in overlaps:
        matches[np.ix_(truths, detections)] += iou >= MIN_IOU
    # the fewest misses and false alarms: each match saves one of both
    idtp = int(matches[linear_sum_assignment(matches, maximize=True)].sum())
    return IDCounts(idtp, sum(len(frame.truths) for frame in overlaps) - idtp,
                    sum(len(frame.detections) for frame in overlaps) - idtp)


def add_identities(parts: Iterable[IDCounts]) -> IDCounts:
    """Add the counts of videos or classes."""
    return IDCounts(*np.sum([(0, 0, 0), *parts], axis=0).tolist())


def identity_scores(counts: IDCounts) -> dict[str, float]:
    """Scores.

    Args:
        counts (IDCounts): The sum over all videos.

    Returns:
        dict[str, float]: ``IDF1`` = 2 IDTP / (2 IDTP + IDFN + IDFP), ``IDP`` = IDTP / (IDTP + IDFP) and ``IDR`` = IDTP
        / (IDTP + IDFN); fractions, NaN where the denominator is 0.
    """
    idtp, idfn, idfp = counts
    return dict(
        IDF1=_ratio(2 * idtp, 2 * idtp + idfn + idfp), IDP=_ratio(idtp, idtp + idfp), IDR=_ratio(idtp, idtp + idfn))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float('nan')
