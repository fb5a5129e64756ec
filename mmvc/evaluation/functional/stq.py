# Copyright (c) The mmvc contributors. All rights reserved.
"""Segmentation and tracking quality (Weber et al., STEP, NeurIPS 2021 Datasets and Benchmarks)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from mmvc.formats.label_maps import VOID_ID

from .panoptic import PanopticPair

Tube = tuple[int, int]  # class and id
CROWD_CONVENTIONS = ('none', 'annotated', 'first_segment')


class STQCounts(NamedTuple):
    """Counts of one video.

    Attributes:
        confusion (np.ndarray): Pixels by true and predicted class, void ground truth left out, the last column for
            void predictions, int64, shape (K, K + 1).
        association (float): Sum over the true thing tubes of their association with the predicted ones.
        num_tubes (int): Number of true thing tubes.
    """
    confusion: np.ndarray
    association: float
    num_tubes: int


class SegmentationTrackingQuality:
    """Count one video for STQ = sqrt(AQ * SQ).

    A tube is the pixels of one (class, id) in a video. AQ sums over the true tubes g of thing classes::

        1 / |g| * sum over p of TPA^2 / (|g| + |p| - TPA),  TPA = |p & g|,

    with p the predicted tubes of any thing class; the size of p counts pixels on void and on stuff too, but not those
    on crowds.

    Args:
        isthing (Sequence[bool]): Which classes are things, length K.
        crowd (str): Which true things are crowds, which are not tubes. ``'none'``: all things are tubes, as when ids
            count from 1 in deeplab2. ``'annotated'``: those with ``iscrowd``, as deeplab2 does with things of instance
            0. ``'first_segment'``: the script of VIPSeg numbers segments from 0 in the order of their annotation, so
            the first segment of a video, if a thing, becomes a crowd. Defaults to 'none'.
    """

    def __init__(self, isthing: Sequence[bool], crowd: str = 'none') -> None:
        if crowd not in CROWD_CONVENTIONS:
            raise ValueError(f'crowd="{crowd}" is unknown: choose one of {CROWD_CONVENTIONS}')
        self.isthing = list(isthing)
        self.crowd = crowd
        self._first_id: int | None = None
        self._confusion = np.zeros((len(self.isthing), len(self.isthing) + 1), np.int64)
        self._gt_area: Counter[Tube] = Counter()
        self._pred_area: Counter[Tube] = Counter()
        self._inter: Counter[tuple[Tube, Tube]] = Counter()

    def update(self, frame: PanopticPair) -> None:
        """Add the next frame of the video."""
        if self._first_id is None:
            self._first_id = next(iter(frame.gt), None)
        for (gt_id, pred_id), pixels in frame.overlaps.items():
            gt_class = frame.gt[gt_id].category_id if gt_id != VOID_ID else None
            pred_class = frame.pred[pred_id].category_id if pred_id != VOID_ID else None
            if gt_class is not None:
                self._confusion[gt_class, -1 if pred_class is None else pred_class] += pixels
            gt_tube = (gt_class, gt_id) if gt_class is not None and self.isthing[gt_class] else None
            if gt_tube is not None and self._is_crowd(gt_id, frame):
                continue
            pred_tube = (pred_class, pred_id) if pred_class is not None and self.isthing[pred_class] else None
            if gt_tube is not None:
                self._gt_area[gt_tube] += pixels
            if pred_tube is not None:
                self._pred_area[pred_tube] += pixels
            if gt_tube is not None and pred_tube is not None:
                self._inter[gt_tube, pred_tube] += pixels

    def _is_crowd(self, gt_id: int, frame: PanopticPair) -> bool:
        if self.crowd == 'annotated':
            return frame.gt[gt_id].iscrowd
        return self.crowd == 'first_segment' and gt_id == self._first_id

    def compute(self) -> STQCounts:
        """Return the counts of the video."""
        association: dict[Tube, float] = defaultdict(float)
        for (gt, pred), tpa in self._inter.items():
            association[gt] += tpa * (tpa / (self._gt_area[gt] + self._pred_area[pred] - tpa))
        total = float(sum(value / self._gt_area[gt] for gt, value in association.items()))
        return STQCounts(self._confusion, total, len(self._gt_area))


def segmentation_quality(confusion: np.ndarray) -> float:
    """SQ: mean IoU over every index that ground truth or prediction has.

    Unlike the mIoU of VSPW this counts classes that only the prediction has, and void where the ground truth is not
    void, as further classes with IoU 0.

    Args:
        confusion (np.ndarray): :attr:`STQCounts.confusion`, shape (K, K + 1).

    Returns:
        float: Fraction, NaN if there is no pixel.
    """
    in_gt = np.append(confusion.sum(axis=1), 0)
    hits = np.append(np.diagonal(confusion), 0)
    union = in_gt + confusion.sum(axis=0) - hits
    return float((hits[union > 0] / union[union > 0]).mean()) if union.any() else float('nan')


def stq(videos: Iterable[STQCounts]) -> dict[str, float]:
    """STQ over videos.

    Args:
        videos (Iterable[STQCounts]): Counts of each video. They are not kept: of an iterator, one is in memory at a
            time.

    Returns:
        dict: ``STQ``, ``AQ``, ``SQ``: fractions. NaN where not defined: SQ without a labelled pixel, AQ without a true
        thing tube.
    """
    confusion, association, num_tubes = None, 0.0, 0
    for video in videos:
        confusion = video.confusion.copy() if confusion is None else np.add(confusion, video.confusion, out=confusion)
        association += video.association
        num_tubes += video.num_tubes
    quality = float('nan') if confusion is None else segmentation_quality(confusion)
    association = association / num_tubes if num_tubes else float('nan')
    return dict(STQ=float(np.sqrt(association * quality)), AQ=association, SQ=quality)
