# Copyright (c) The mmvc contributors. All rights reserved.
"""Where pixels come from: dense flow between frames, without learning."""

from typing import Any, NamedTuple

import cv2
import numpy as np

from mmvc.utils.errors import DataError

# OpenCV's documented choice for polynomials over 5 pixels; three levels of half the size each reach about 40 pixels
_FARNEBACK: dict[str, Any] = dict(
    flow=None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0)


class Motion(NamedTuple):
    """How a frame follows from the one before.

    Args:
        source_x (np.ndarray): Column in the earlier frame where each pixel of the later one was, float32 (H, W).
        source_y (np.ndarray): Its row.
        valid (np.ndarray): False where that is outside of the frame or was hidden, bool (H, W).
    """
    source_x: np.ndarray
    source_y: np.ndarray
    valid: np.ndarray


def estimate_motion(earlier: np.ndarray, later: np.ndarray) -> Motion:
    """Estimate the motion between two frames with Farneback's flow (arXiv 2406.04979, Eq. 5).

    The flow is computed in both directions. The backward one says, for every pixel of the later frame, where to take
    its label from: nothing has to be scattered and no holes remain. The forward one, Eq. 5's, has to lead back; where
    it ends more than ``0.5 + 0.01 (|f|^2 + |b|^2)`` squared pixels away, the pixel is taken to be occluded (the test
    of Sundaram et al., Dense Point Trajectories, ECCV 2010). Occlusions narrower than the flow's window of 15 pixels
    are found in part only.

    Args:
        earlier (np.ndarray): Grey frame, uint8 (H, W).
        later (np.ndarray): The frame after it.

    Returns:
        Motion: Of size (H, W).

    Raises:
        ValueError: The frames differ in size.
    """
    if earlier.shape != later.shape:
        raise DataError(f'frames of sizes {earlier.shape} and {later.shape} in one video')
    forward = cv2.calcOpticalFlowFarneback(earlier, later, **_FARNEBACK)
    backward = cv2.calcOpticalFlowFarneback(later, earlier, **_FARNEBACK)
    height, width = earlier.shape
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = columns + backward[..., 0], rows + backward[..., 1]
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    forward = cv2.remap(forward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    missed = np.square(forward + backward).sum(axis=2)
    length = np.square(forward).sum(axis=2) + np.square(backward).sum(axis=2)
    return Motion(x, y, inside & (missed <= 0.5 + 0.01 * length))


def warp_labels(labels: np.ndarray, motion: Motion) -> np.ndarray:
    """Predict the next frame's labels: each pixel takes the label of where it was (arXiv 2406.04979, Eq. 6).

    Args:
        labels (np.ndarray): Label map of the earlier frame, uint8 (H, W).
        motion (Motion): From it to the later frame.

    Returns:
        np.ndarray: uint8 (H, W); the label of the nearest pixel, of no meaning where the motion is not valid.
    """
    return cv2.remap(labels, motion.source_x, motion.source_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
