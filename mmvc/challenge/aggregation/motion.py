# Copyright (c) The mmvc contributors. All rights reserved.
"""Dense optical flow between frames, without a neural network."""

from typing import Any, NamedTuple

import cv2
import numpy as np

from mmvc.utils.errors import DataError
from mmvc.utils.optical_flow import source_positions

# The values that OpenCV recommends for poly_n=5. Three levels of half the size each find motions of up to 40 pixels.
_FARNEBACK: dict[str, Any] = dict(
    flow=None, pyr_scale=0.5, levels=3, winsize=15, iterations=3, poly_n=5, poly_sigma=1.2, flags=0)


class Motion(NamedTuple):
    """Motion between two frames, as the place in the earlier frame for each pixel of the later frame.

    Attributes:
        source_x (np.ndarray): Column in the earlier frame, float32 (H, W).
        source_y (np.ndarray): Row in the earlier frame, float32 (H, W).
        valid (np.ndarray): False where the place is outside of the frame or occluded, bool (H, W).
    """
    source_x: np.ndarray
    source_y: np.ndarray
    valid: np.ndarray


def estimate_motion(earlier: np.ndarray, later: np.ndarray) -> Motion:
    """Estimate the motion between two frames with Farneback's flow (arXiv 2406.04979, Eq. 5).

    The flow is computed in both directions. The backward flow says, for every pixel of the later frame, where to take
    its label from. So nothing is scattered and no holes remain. The forward flow (that of Eq. 5) must lead back to the
    pixel. Where it ends more than ``0.5 + 0.01 (|f|^2 + |b|^2)`` squared pixels away, the pixel counts as occluded
    (the test of Sundaram et al., Dense Point Trajectories, ECCV 2010). Occlusions that are narrower than the window of
    the flow, 15 pixels, are found only in part.

    Args:
        earlier (np.ndarray): Grey frame, uint8 (H, W).
        later (np.ndarray): The next frame, uint8 (H, W).

    Returns:
        Motion: Arrays of shape (H, W).

    Raises:
        DataError: The frames differ in size.
    """
    if earlier.shape != later.shape:
        raise DataError(f'frames of one video have the sizes {earlier.shape} and {later.shape}: they must have '
                        'one size')
    forward = cv2.calcOpticalFlowFarneback(earlier, later, **_FARNEBACK)
    backward = cv2.calcOpticalFlowFarneback(later, earlier, **_FARNEBACK)
    height, width = earlier.shape
    x, y = source_positions(backward)
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    forward = cv2.remap(forward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    distance = np.square(forward + backward).sum(axis=2)
    length = np.square(forward).sum(axis=2) + np.square(backward).sum(axis=2)
    return Motion(x, y, inside & (distance <= 0.5 + 0.01 * length))


def warp_labels(labels: np.ndarray, motion: Motion) -> np.ndarray:
    """Predict the labels of the next frame: each pixel takes the label of its place before (arXiv 2406.04979, Eq. 6).

    Args:
        labels (np.ndarray): Label map of the earlier frame, uint8 (H, W).
        motion (Motion): Motion from the earlier to the later frame.

    Returns:
        np.ndarray: Label of the nearest pixel, uint8 (H, W). It has no meaning where the motion is not valid.
    """
    return cv2.remap(labels, motion.source_x, motion.source_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
