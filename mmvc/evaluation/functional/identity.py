# Copyright (c) The mmvc contributors. All rights reserved.
"""The number of times that the label of an object changes in a video."""

from collections.abc import Iterable

import numpy as np


def main_labels(ids: np.ndarray, pred: np.ndarray, void: int | None = None) -> dict[int, int | None]:
    """Find the label that covers most of each object of a frame.

    Args:
        ids (np.ndarray): Identity of the visible object, integers (H, W), 0 = none.
        pred (np.ndarray): Predicted labels (classes or segment ids), integers (H, W).
        void (int, optional): Label of pixels without a prediction. Defaults to None: every pixel has one.

    Returns:
        dict[int, int | None]: Identity -> label (of two with the same area, the smaller one); None if most of the
        object has no prediction.
    """
    labels: dict[int, int | None] = {}
    for identity in np.unique(ids).tolist():
        if identity:
            values, areas = np.unique(pred[ids == identity], return_counts=True)
            winner = int(values[areas.argmax()])
            labels[identity] = None if winner == void else winner
    return labels


def count_switches(labels: Iterable[int | None]) -> tuple[int, int]:
    """Count the changes of an object's label, as identity switches are counted in multi-object tracking.

    Frames without a label (the object is out of sight, or not found) are skipped: the label after the gap is
    compared with the one before it.

    Args:
        labels (Iterable[int | None]): Label in each frame: a track id (identity switches) or a class (class switches).

    Returns:
        tuple[int, int]: Number of changes, and of frames in which there could have been one.

    Example:
        >>> count_switches([3, 3, None, 4, 4, 3])
        (2, 4)
    """
    switches = pairs = 0
    last = None
    for label in labels:
        if label is None:
            continue
        if last is not None:
            pairs += 1
            switches += label != last
        last = label
    return switches, pairs
