# Copyright (c) The mmvc contributors. All rights reserved.
"""One video of VIPSeg, reduced to counts."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .panoptic import PanopticPair
from .sparse import SparseCounts
from .stq import SegmentationTrackingQuality, STQCounts
from .summary import STQ_VARIANTS, vps_numbers
from .vpq import SCRIPT_WINDOWS, VideoPanopticQuality


class VPSCounts(NamedTuple):
    """Counts of one video.

    Attributes:
        vpq (SparseCounts): :attr:`VideoPanopticQuality.counts` for SCRIPT_WINDOWS, (5, K, 4).
        confusion (SparseCounts): :attr:`STQCounts.confusion`, the same in all variants, (K, K + 1).
        tubes (dict[str, tuple[float, int]]): Association and number of tubes, by the keys of ``STQ_VARIANTS``.
    """
    vpq: SparseCounts
    confusion: SparseCounts
    tubes: dict[str, tuple[float, int]]

    def stq(self, variant: str) -> STQCounts:
        """Counts for a key of ``STQ_VARIANTS``."""
        return STQCounts(self.confusion.dense(), *self.tubes[variant])


class VPSCounter:
    """Count one video for VPQ and all variants of STQ.

    Args:
        isthing (Sequence[bool]): Which classes are things, length K.
    """

    def __init__(self, isthing: Sequence[bool]) -> None:
        self._vpq = VideoPanopticQuality(len(isthing))
        self._stq = {variant: SegmentationTrackingQuality(isthing, crowd) for variant, crowd in STQ_VARIANTS.items()}

    def update(self, pair: PanopticPair) -> None:
        """Add the next frame of the video."""
        self._vpq.update(pair)
        for quality in self._stq.values():
            quality.update(pair)

    def compute(self) -> VPSCounts:
        """Return the counts of the video."""
        variants = {variant: quality.compute() for variant, quality in self._stq.items()}
        return VPSCounts(
            vpq=SparseCounts.of(self._vpq.counts),
            confusion=SparseCounts.of(variants[''].confusion),
            tubes={variant: (counts.association, counts.num_tubes) for variant, counts in variants.items()})


def vps_summary(videos: Sequence[VPSCounts], isthing: Sequence[bool]) -> tuple[dict[str, float], np.ndarray]:
    """The numbers of VIPSeg.

    Args:
        videos (Sequence[VPSCounts]): Counts of each video.
        isthing (Sequence[bool]): Which classes are things, length K.

    Returns:
        tuple: Numbers as :func:`vps_numbers` returns them, and the sum of the counts for VPQ, (5, K, 4).
    """
    total = np.zeros((len(SCRIPT_WINDOWS), len(isthing), 4))
    for video in videos:
        total += video.vpq.dense()
    return vps_numbers(total, {variant: _stq_counts(videos, variant) for variant in STQ_VARIANTS}, isthing), total


def _stq_counts(videos: Sequence[VPSCounts], variant: str) -> Iterator[STQCounts]:
    """Counts of each video, one confusion matrix in memory at a time."""
    return (video.stq(variant) for video in videos)
