# Copyright (c) The mmvc contributors. All rights reserved.
"""The number of segments into which a prediction splits an object."""


import cv2
import numpy as np


def count_fragments(ids: np.ndarray, pred: np.ndarray, min_share: float = 0.02) -> dict[int, tuple[int, int]]:
    """Count the predicted segments that lie on each object of a frame.

    A segment is a connected region (8 neighbours) of one predicted label within the object. Regions of less
    than ``min_share`` of the object do not count, because borders are never exact. Another object in front can divide
    an object into several visible parts, so these are counted as well: one segment per part is perfect.

    Args:
        ids (np.ndarray): Identity of the visible object, integers (H, W), 0 = none.
        pred (np.ndarray): Predicted labels (classes or segment ids), integers (H, W).
        min_share (float): In [0, 1]. Defaults to 0.02.

    Returns:
        dict[int, tuple[int, int]]: Identity -> number of segments and of visible parts, for each object in ``ids``.

    Example:
        >>> count_fragments(np.array([[1, 1, 1, 1]]), np.array([[5, 7, 7, 5]]))
        {1: (3, 1)}
    """
    counts = {}
    for identity in np.unique(ids).tolist():
        if identity == 0:
            continue
        rows, columns = np.nonzero(ids == identity)
        window = np.s_[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
        here, labels = ids[window] == identity, pred[window]
        smallest = min_share * len(rows)
        segments = sum(_components(here & (labels == label), smallest) for label in np.unique(labels[here]))
        counts[identity] = (segments, _components(here, smallest))
    return counts


def _components(mask: np.ndarray, smallest: float) -> int:
    """Count the connected regions of a mask with at least a given number of pixels."""
    stats = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2]
    return int((stats[1:, cv2.CC_STAT_AREA] >= smallest).sum())
