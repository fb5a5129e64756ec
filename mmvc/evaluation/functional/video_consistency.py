# Copyright (c) The mmvc contributors. All rights reserved.
"""Video consistency VC_n of VSPW, streaming: memory and time per frame do not depend on the window."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

Windows = dict[int, list[tuple[int, int]]]


class VideoConsistency:
    """Counts for each window of a video how many constant pixels are also predicted as constant.

    In a window of n frames, C are the pixels whose raw ground-truth value is the same in all n frames (void is a
    value, too). P are the pixels whose predicted value is the same in all n frames; it need not be the right class.
    VC_n is the mean of ``|C and P| / |C|`` over the windows (Miao et al., VSPW, CVPR 2021, Eq. 1). As in the official
    script, windows start at frames 0 .. T - n - 1. The last possible window is left out, so a video needs n + 1
    frames.

    With sparse labels (:meth:`skip`), a window counts if all of its n frames are labelled and the video has another
    frame after it, labelled or not.

    The n frames are not compared. Each pixel counts for how many frames its value has not changed. A window is
    constant at a pixel if this count has reached n.

    Args:
        window_sizes (Sequence[int]): The n, each in [1, 255]. Defaults to (8, 16).

    Example:
        >>> consistency = VideoConsistency((2, ))
        >>> for gt, pred in frames:  # raw label maps and predictions, both (H, W)
        ...     consistency.update(gt, pred)
        >>> consistency.windows[2]  # [(|C|, |C and P|), ...], one entry per window
    """

    def __init__(self, window_sizes: Sequence[int] = (8, 16)) -> None:
        if not window_sizes or min(window_sizes) < 1 or max(window_sizes) > 255:
            raise ValueError(f'window_sizes={tuple(window_sizes)}: expected sizes in [1, 255]')
        self.window_sizes = tuple(window_sizes)
        self.windows: Windows = {n: [] for n in self.window_sizes}
        self._num_frames = 0
        self._run_length = 0  # labelled frames in a row
        self._last_gt: np.ndarray
        self._last_pred: np.ndarray
        self._ending_here: dict[int, tuple[int, int]] = {}

    def update(self, gt: np.ndarray, pred: np.ndarray) -> None:
        """Add the next frame.

        Args:
            gt (np.ndarray): Raw ground-truth values, shape (H, W).
            pred (np.ndarray): Predicted values, shape (H, W).

        Raises:
            ValueError: The shapes differ from each other or from the frame before.
        """
        if gt.shape != pred.shape:
            raise ValueError(f'prediction of size {pred.shape} for a ground truth of size {gt.shape}: resize the '
                             'prediction to the size of the ground truth')
        if self._run_length == 0:
            self._gt_run = np.ones(gt.shape, np.uint8)
            self._both_run = np.ones(gt.shape, np.uint8)
        elif gt.shape != self._last_gt.shape:
            raise ValueError(f'frame {self._num_frames} has size {gt.shape}, the frame before {self._last_gt.shape}: '
                             'all frames of a video must have one size')
        else:
            gt_same = gt == self._last_gt
            self._lengthen(self._gt_run, gt_same)
            self._lengthen(self._both_run, gt_same & (pred == self._last_pred))
        self._count_windows()
        self._run_length += 1
        self._num_frames += 1
        self._ending_here = {
            n: (int(np.count_nonzero(self._gt_run >= n)), int(np.count_nonzero(self._both_run >= n)))
            for n in self.window_sizes if self._run_length >= n
        }
        self._last_gt, self._last_pred = gt.copy(), pred.copy()

    def skip(self) -> None:
        """Add the next frame if it has no ground truth: no window contains it."""
        self._count_windows()
        self._ending_here = {}
        self._run_length = 0
        self._num_frames += 1

    def _count_windows(self) -> None:
        """Count the windows that end at the frame before, which waited until a frame follows them."""
        for n, counts in self._ending_here.items():
            self.windows[n].append(counts)

    def _lengthen(self, run: np.ndarray, same: np.ndarray) -> None:
        """Add one to the runs that go on and set the others to one; saturates at the largest window."""
        np.minimum(run, max(self.window_sizes) - 1, out=run)
        run *= same
        run += 1


def mean_consistency(windows: Iterable[tuple[int, int]]) -> float:
    """VC_n: one mean over all windows of all videos.

    Args:
        windows (Iterable[tuple[int, int]]): Pairs ``(|C|, |C and P|)`` of all videos, in any order.

    Returns:
        float: Fraction, the same to the last bit in every order of the windows; windows with an empty C are left out,
        NaN if no window remains.
    """
    values = [kept / common for common, kept in windows if common]
    return math.fsum(values) / len(values) if values else float('nan')


def pooled_vc16(vc8_windows: Iterable[tuple[int, int]], vc16_windows: Iterable[tuple[int, int]]) -> float:
    """The number that DVIS++'s script prints as "VC16": the mean over all windows of 8 and of 16 frames together.

    Its list of values is not emptied between the two sizes. Only for comparison with numbers printed by that script;
    it is higher than VC16.

    Args:
        vc8_windows (Iterable[tuple[int, int]]): Pairs ``(|C|, |C and P|)`` of all windows of 8 frames.
        vc16_windows (Iterable[tuple[int, int]]): The same for 16 frames.

    Returns:
        float: Fraction, NaN if there is no window.
    """
    return mean_consistency([*vc8_windows, *vc16_windows])
