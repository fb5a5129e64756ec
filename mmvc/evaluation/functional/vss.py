# Copyright (c) The mmvc contributors. All rights reserved.
"""One video of VSPW, reduced to counts."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from .semantic import ConfusionMatrix
from .sparse import SparseCounts
from .video_consistency import VideoConsistency, Windows


class VSSCounts(NamedTuple):
    """Counts of one video.

    Attributes:
        confusion (SparseCounts): :attr:`ConfusionMatrix.counts`, (K, K + 1).
        windows (dict[int, list[tuple[int, int]]]): :attr:`VideoConsistency.windows`.
    """
    confusion: SparseCounts
    windows: Windows


class VSSCounter:
    """Count one video for mIoU and video consistency.

    Args:
        num_classes (int): Number of classes K.
        label_offset (int): Mask value of class 0.
        window_sizes (Sequence[int]): Windows of the video consistency, in frames. Defaults to (8, 16).
        void_values (Collection[int], optional): Mask values of void. Defaults to None: all that are not classes.
    """

    def __init__(self, num_classes: int, label_offset: int, window_sizes: Sequence[int] = (8, 16),
                 void_values: Collection[int] | None = None) -> None:
        self._confusion = ConfusionMatrix(num_classes, label_offset, void_values)
        self._consistency = VideoConsistency(window_sizes)
        self._num_frames = 0

    def update(self, gt: np.ndarray, pred: np.ndarray | None) -> None:
        """Add the next frame of the video.

        Args:
            gt (np.ndarray): Mask values, uint8, shape (H, W).
            pred (np.ndarray, optional): Class indices, 255 = no prediction, shape (H, W); None for a frame without
                prediction.

        Raises:
            ValueError: The shapes differ, a predicted value is not a class, or a true one is neither class nor void.
        """
        if pred is None:
            self._confusion.update(gt, np.full_like(gt, ConfusionMatrix.NO_PREDICTION))
            # a value that no other frame has: a missing prediction must not look consistent
            self._consistency.update(gt, np.full(gt.shape, -1 - self._num_frames, np.int32))
        else:
            self._confusion.update(gt, pred)
            self._consistency.update(gt, pred)
        self._num_frames += 1

    def skip(self) -> None:
        """Add the next frame of the video if it has no ground truth."""
        self._consistency.skip()
        self._num_frames += 1

    def compute(self) -> VSSCounts:
        """Return the counts of the video."""
        return VSSCounts(SparseCounts.of(self._confusion.counts), self._consistency.windows)


def pool_windows(videos: Sequence[VSSCounts], window_sizes: Sequence[int]) -> Windows:
    """The pairs of all videos, by window size."""
    return {n: [pair for video in videos for pair in video.windows[n]] for n in window_sizes}
