# Copyright (c) The mmvc contributors. All rights reserved.
"""PNGs of segment ids in the form of COCO panoptic."""

from pathlib import Path

import cv2
import numpy as np

from .drawn_videos import SIZE, box

#: category id by segment id
SEGMENTS = {70000: 7, 301: 90, 66051: 90}  # ids that need one, two and three bytes


def ids_of(index: int) -> np.ndarray:
    """Segment ids of a frame with a road and two cars."""
    ids = np.zeros(SIZE, int)
    ids[box(12, 0, 12, 32)] = 70000
    ids[box(10, 2 + index, 6, 8)] = 301
    ids[box(12, 20 - index, 6, 8)] = 66051
    return ids


def write_png(path: Path, ids: np.ndarray) -> None:
    """Write segment ids as COCO does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    red, green, blue = ids % 256, ids // 256 % 256, ids // 65536
    assert cv2.imwrite(str(path), np.stack([blue, green, red], axis=-1).astype(np.uint8))
