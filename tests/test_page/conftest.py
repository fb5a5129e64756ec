# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmvc.apis import VideoSegInferencer
from mmvc.visualization import VideoWriter
from tests.helpers.tiny_inference import save_tiny_checkpoint


@pytest.fixture
def checkpoint(tmp_path) -> Callable[..., Path]:
    """Write a checkpoint of a tiny model, which contains its config."""

    return lambda task='vss': save_tiny_checkpoint(tmp_path / 'tiny.pth', task)


@pytest.fixture
def inferencer(checkpoint) -> Callable[[str], VideoSegInferencer]:
    """Make an inferencer for a task."""
    return lambda task='vss': VideoSegInferencer(weights=str(checkpoint(task)), device='cpu', show_progress=False)


@pytest.fixture
def clip(tmp_path) -> Path:
    """A video of 12 frames, 96 x 64: a block moves over noise."""
    pytest.importorskip('av')
    rng = np.random.default_rng(0)
    with VideoWriter(tmp_path / 'street.mp4', 12) as writer:
        for index in range(12):
            frame = rng.integers(60, 120, (64, 96, 3), np.uint8)
            frame[20:50, 4 * index:4 * index + 30] = (220, 60, 20)
            writer.write(frame)
    return tmp_path / 'street.mp4'
