# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

import cv2
import numpy as np
import pytest

HEIGHT, WIDTH = 48, 80
VIDEOS = dict(a=7, b=3)  # name -> number of frames
CLASSES = ('floor', 'wall', 'cup')
LEVELS = (40, 120, 200)  # grey of the classes' pixels, so that image and mask can be compared
VOID_LEVEL = 0


def frame_labels(index: int) -> np.ndarray:
    """Raw mask of a frame: floor (1) and wall (2) side by side, a cup (3) that moves, void (0) below."""
    raw = np.full((HEIGHT, WIDTH), 1, dtype=np.uint8)
    raw[:, WIDTH // 2:] = 2
    raw[8:24, 4 + 4 * index:20 + 4 * index] = 3
    raw[-8:] = 0
    return raw


@pytest.fixture
def vspw_root(tmp_path) -> Path:
    """Two labelled videos in the layout of VSPW, with three classes."""
    greys = np.array((VOID_LEVEL, *LEVELS), dtype=np.uint8)
    for video, length in VIDEOS.items():
        for folder in ('origin', 'mask'):
            (tmp_path / 'data' / video / folder).mkdir(parents=True)
        for index in range(length):
            raw = frame_labels(index)
            image = np.repeat(greys[raw][..., None], 3, axis=2)
            folder = tmp_path / 'data' / video
            cv2.imwrite(str(folder / 'origin' / f'{index + 8:04d}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
            cv2.imwrite(str(folder / 'mask' / f'{index + 8:04d}.png'), raw)
    (tmp_path / 'train.txt').write_text('a\nb\n')
    return tmp_path
