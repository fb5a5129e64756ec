# Copyright (c) The mmvc contributors. All rights reserved.
"""Video panoptic quality (Kim et al., Video Panoptic Segmentation, CVPR 2020) as the script of VIPSeg computes it."""

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from mmvc.formats.label_maps import VOID_ID

from .panoptic import PanopticPair, SegmentClass

IOU, TP, FP, FN = range(4)
PAPER_WINDOWS = (1, 2, 4, 6)
SCRIPT_WINDOWS = (1, 2, 4, 6, 8)


class VideoPanopticQuality:
    """Count matched and unmatched tubes in every window of k frames of one video.

    A window is k consecutive frames (stride 1). In a window, a tube is the pixels of one id, with the class (and
    crowd flag) of the first frame that has the id. A true tube g that is not a crowd and a predicted tube p of the
    same class match if::

        |p & g| / (|p| + |g| - |p & g| - |p & void|) > 0.5.

    True tubes without a match, except crowds, are FN. Predicted tubes without a match are FP, unless more than half of
    their pixels lie on void and on the crowds of their class (the script has one crowd per class and window).

    The overlaps of a window are a running sum over frames, so a frame costs the same for every k.

    Args:
        num_classes (int): Number of classes K.
        window_sizes (Sequence[int]): The k. Defaults to (1, 2, 4, 6, 8).

    Attributes:
        counts (np.ndarray): Sum of IoU of the matches, TP, FP and FN per window size and class, float64, shape
            (number of window sizes, K, 4).
    """

    def __init__(self, num_classes: int, window_sizes: Sequence[int] = SCRIPT_WINDOWS) -> None:
        if not window_sizes or min(window_sizes) < 1:
            raise ValueError(f'window_sizes={tuple(window_sizes)}: expected sizes of at least 1')
        self.window_sizes = tuple(window_sizes)
        self.counts = np.zeros((len(self.window_sizes), num_classes, 4))
        self._recent: deque[PanopticPair] = deque(maxlen=max(self.window_sizes))
        self._overlaps: dict[int, Counter] = {k: Counter() for k in self.window_sizes}

    def update(self, frame: PanopticPair) -> None:
        """Add the next frame of the video."""
        for k, overlaps in self._overlaps.items():
            if len(self._recent) >= k:
                _subtract(overlaps, self._recent[-k].overlaps)
            overlaps.update(frame.overlaps)
        self._recent.append(frame)
        for index, k in enumerate(self.window_sizes):
            if len(self._recent) >= k:
                self._match(index, k)

    def _match(self, index: int, k: int) -> None:
        """Count the window of the last k frames."""
        gt: dict[int, SegmentClass] = {}
        pred: dict[int, SegmentClass] = {}
        for frame in list(self._recent)[-k:]:
            gt = {**frame.gt, **gt}  # the earliest frame decides on the class
            pred = {**frame.pred, **pred}
        overlaps, counts = self._overlaps[k], self.counts[index]
        gt_area: Counter[int] = Counter()
        pred_area: Counter[int] = Counter()
        for (g, p), pixels in overlaps.items():
            gt_area[g] += pixels
            pred_area[p] += pixels

        matched_gt, matched_pred = set(), set()
        on_crowd: Counter[int] = Counter()
        for (g, p), inter in overlaps.items():
            if g == VOID_ID or p == VOID_ID or gt[g].category_id != pred[p].category_id:
                continue
            if gt[g].iscrowd:
                on_crowd[p] += inter
                continue
            iou = inter / (pred_area[p] + gt_area[g] - inter - overlaps.get((VOID_ID, p), 0))
            if iou > 0.5:
                counts[gt[g].category_id, IOU] += iou
                counts[gt[g].category_id, TP] += 1
                matched_gt.add(g)
                matched_pred.add(p)
        for g, segment in gt.items():
            if g not in matched_gt and not segment.iscrowd:
                counts[segment.category_id, FN] += 1
        for p, segment in pred.items():
            if p not in matched_pred and (overlaps.get((VOID_ID, p), 0) + on_crowd[p]) / pred_area[p] <= 0.5:
                counts[segment.category_id, FP] += 1


def _subtract(overlaps: Counter, gone: dict) -> None:
    """Subtract the pixels of a frame from a running sum, and remove pairs without pixels."""
    for pair, pixels in gone.items():
        overlaps[pair] -= pixels
        if not overlaps[pair]:
            del overlaps[pair]


def panoptic_quality(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Panoptic quality per class: PQ = SQ * RQ.

    Args:
        counts (np.ndarray): Sum of IoU, TP, FP, FN, shape (K, 4).

    Returns:
        dict: ``pq``, ``sq`` (mean IoU of the matches, 0 without any) and ``rq`` (F1), each of shape (K, ) in [0, 1];
        NaN for classes that neither ground truth nor prediction has.
    """
    iou, tp, fp, fn = counts.T
    size = tp + 0.5 * fp + 0.5 * fn
    nowhere = np.full(len(counts), np.nan)
    return dict(
        pq=np.divide(iou, size, out=nowhere.copy(), where=size > 0),
        sq=np.where(size > 0, iou / np.maximum(tp, 1), np.nan),
        rq=np.divide(tp, size, out=nowhere.copy(), where=size > 0))


def mean_panoptic_quality(counts: np.ndarray, isthing: Sequence[bool]) -> dict[str, dict[str, float]]:
    """Mean panoptic quality over the classes that occur, of one window size.

    Args:
        counts (np.ndarray): Sums over all windows and videos, shape (K, 4).
        isthing (Sequence[bool]): Which classes are things, length K.

    Returns:
        dict: ``All``, ``Things`` and ``Stuff``, each a dict of ``pq``, ``sq``, ``rq`` (fractions, NaN without a class)
        and ``n``, the number of classes averaged.
    """
    quality = panoptic_quality(counts)
    occurs = counts[:, TP:].sum(axis=1) > 0
    things = np.asarray(isthing, dtype=bool)
    means = {}
    for name, group in dict(All=occurs, Things=occurs & things, Stuff=occurs & ~things).items():
        means[name] = {key: float(values[group].mean()) if group.any() else float('nan')
                       for key, values in quality.items()}
        means[name]['n'] = int(group.sum())
    return means


def vpq(counts: np.ndarray,
        window_sizes: Sequence[int],
        isthing: Sequence[bool],
        average_over: Sequence[int] = PAPER_WINDOWS) -> dict[str, float]:
    """VPQ: mean over window sizes of the mean panoptic quality.

    Args:
        counts (np.ndarray): Sums over all videos of :attr:`VideoPanopticQuality.counts`.
        window_sizes (Sequence[int]): The k of ``counts``.
        isthing (Sequence[bool]): Which classes are things, length K.
        average_over (Sequence[int]): The k to average. Defaults to (1, 2, 4, 6) as in the paper; the script of VIPSeg
            averages (1, 2, 4, 6, 8).

    Returns:
        dict: ``All``, ``Things``, ``Stuff``: fractions; NaN if a window size has no window or no such class.
    """
    per_k = [mean_panoptic_quality(counts[list(window_sizes).index(k)], isthing) for k in average_over]
    return {name: float(np.mean([means[name]['pq'] for means in per_k])) for name in ('All', 'Things', 'Stuff')}
