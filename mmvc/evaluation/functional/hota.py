# Copyright (c) The mmvc contributors. All rights reserved.
"""Higher order tracking accuracy (Luiten et al., HOTA, IJCV 2021), computed from the IoU of masks."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from .tracks import FrameOverlap

ALPHAS = np.arange(0.05, 0.99, 0.05)  # the 19 thresholds
HOTA_NUMBERS = ('HOTA', 'DetA', 'AssA', 'LocA')
_EPSILON = np.finfo(float).eps


class HOTACounts(NamedTuple):
    """Counts at each of the 19 thresholds. Those of videos and classes can be added.

    Attributes:
        tp (np.ndarray): Matched pairs of masks, shape (19, ).
        fn (np.ndarray): True masks without a match, shape (19, ).
        fp (np.ndarray): Predicted masks without a match, shape (19, ).
        association (np.ndarray): Sum of the association scores of the matched pairs, shape (19, ).
        localization (np.ndarray): Sum of the IoU of the matched pairs, shape (19, ).
    """
    tp: np.ndarray
    fn: np.ndarray
    fp: np.ndarray
    association: np.ndarray
    localization: np.ndarray


def count_hota(overlaps: Sequence[FrameOverlap], num_truths: int, num_detections: int) -> HOTACounts:
    """Match the masks of a video, frame by frame.

    In each frame, the pairs of masks are matched one to one so that the sum of IoU times alignment is as large as
    possible. The alignment of two tracks is that of all their frames, so a mask goes to the track that it belongs to,
    not to the one that overlaps most in this frame. A pair counts at a threshold if its IoU reaches it.

    Args:
        overlaps (Sequence[FrameOverlap]): IoU in each frame, see :func:`frame_overlaps`.
        num_truths (int): Number of true tracks G.
        num_detections (int): Number of predicted tracks D.

    Returns:
        HOTACounts: The counts.
    """
    aligned = np.zeros((num_truths, num_detections))
    true_frames, found_frames = np.zeros((num_truths, 1)), np.zeros((1, num_detections))
    for truths, detections, iou in overlaps:
        others = iou.sum(axis=0, keepdims=True) + iou.sum(axis=1, keepdims=True) - iou
        aligned[np.ix_(truths, detections)] += np.divide(iou, others, out=np.zeros_like(iou), where=others > _EPSILON)
        true_frames[truths] += 1
        found_frames[0, detections] += 1
    either = true_frames + found_frames - aligned
    alignment = np.divide(aligned, either, out=np.zeros_like(aligned), where=either > 0)

    matches = np.zeros((len(ALPHAS), num_truths, num_detections))
    localization = np.zeros(len(ALPHAS))
    for truths, detections, iou in overlaps:
        rows, columns = linear_sum_assignment(alignment[np.ix_(truths, detections)] * iou, maximize=True)
        paired = iou[rows, columns]
        hit = paired >= ALPHAS[:, None] - _EPSILON
        matches[:, truths[rows], detections[columns]] += hit
        localization += (hit * paired).sum(axis=1)
    tp = matches.sum(axis=(1, 2))
    # a pair of tracks: the share of its frames, of those with the one or the other, in which they are matched
    shares = matches / np.maximum(1, true_frames + found_frames - matches)
    return HOTACounts(tp, true_frames.sum() - tp, found_frames.sum() - tp, (matches * shares).sum(axis=(1, 2)),
                      localization)


def add_hota(parts: Iterable[HOTACounts]) -> HOTACounts:
    """Add the counts of videos or classes."""
    start = HOTACounts(*(np.zeros(len(ALPHAS)) for _ in HOTACounts._fields))
    for part in parts:
        start = HOTACounts(*(one + other for one, other in zip(start, part)))
    return start


def hota_scores(counts: HOTACounts) -> dict[str, float]:
    """Scores, means over the 19 thresholds.

    Args:
        counts (HOTACounts): The sum over all videos.

    Returns:
        dict[str, float]: ``HOTA`` = sqrt(DetA AssA), ``DetA`` = TP / (TP + FN + FP), ``AssA`` (mean association of the
        TP, 0 without one) and ``LocA`` (mean IoU of the TP, 1 without one); fractions, NaN if there is neither a true
        nor a predicted mask.
    """
    total = counts.tp + counts.fn + counts.fp
    if not total.any():
        return dict.fromkeys(HOTA_NUMBERS, float('nan'))
    detection = counts.tp / total
    association = counts.association / np.maximum(1, counts.tp)
    localization = np.divide(counts.localization, counts.tp, out=np.ones(len(ALPHAS)), where=counts.tp > 0)
    return dict(
        HOTA=float(np.sqrt(detection * association).mean()),
        DetA=float(detection.mean()),
        AssA=float(association.mean()),
        LocA=float(localization.mean()))
