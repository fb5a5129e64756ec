# Copyright (c) The mmvc contributors. All rights reserved.
"""Dense optical flow."""

import numpy as np


def source_positions(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow a flow from each pixel.

    Args:
        flow (np.ndarray): Flow x and y in pixels, float32 (H, W, 2).

    Returns:
        tuple[np.ndarray, np.ndarray]: Where the pixels come from, x and y, float32 (H, W), as ``cv2.remap`` wants
        them.
    """
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x + flow[..., 0], y + flow[..., 1]
