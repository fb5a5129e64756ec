# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

_NUM_COLORS = 61  # a prime, so that ids in steps of ten or hundred (VIPSeg) do not share a colour


@lru_cache(maxsize=None)
def _table() -> np.ndarray:
    """Colours, each of which looks as different as possible from all before it: uint8 (61, 3)."""
    levels = np.linspace(0, 255, 12)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing='ij'), -1).reshape(1, -1, 3).astype(np.float32)
    lab = cv2.cvtColor(rgb / 255, cv2.COLOR_RGB2LAB)[0]
    bright = (lab[:, 0] > 40) & (lab[:, 0] < 88) & (np.hypot(lab[:, 1], lab[:, 2]) > 35)  # not grey
    rgb, lab = rgb[0, bright], lab[bright]
    chosen = [int(np.argmax(lab[:, 1]))]
    distance = np.full(len(lab), np.inf)
    while len(chosen) < _NUM_COLORS:
        distance = np.minimum(distance, np.linalg.norm(lab - lab[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return np.rint(rgb[chosen]).astype(np.uint8)


def stable_colors(ids: Sequence[int]) -> np.ndarray:
    """Look up the colours of ids. An id has the same colour in all frames and videos.

    Consecutive ids have very different colours.

    Args:
        ids (Sequence[int]): N ids. Two ids share a colour only if their difference is a multiple of 61.

    Returns:
        np.ndarray: RGB, uint8, (N, 3).
    """
    return _table()[np.asarray(list(ids), np.int64) % _NUM_COLORS]
