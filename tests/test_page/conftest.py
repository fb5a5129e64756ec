# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mmvc.apis import VideoSegInferencer
from mmvc.visualization import VideoWriter
from tests.helpers.tiny_inference import tiny_config, vivid_model


@pytest.fixture
def checkpoint(tmp_path) -> Callable[..., Path]:
    """Write a checkpoint of a tiny model, which contains its config."""

    def write(task: str = 'vss', name: str = 'tiny.pth', stage: str = 'DVISOnline') -> Path:
        cfg = tiny_config(stage, task)
        torch.save(dict(state_dict=vivid_model(cfg).state_dict(), meta=dict(cfg=cfg.pretty_text)), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def inferencer(checkpoint) -> Callable[[str], VideoSegInferencer]:
    """Make an inferencer for a task."""
    return lambda task='vss', **kwargs: VideoSegInferencer(weights=str(checkpoint(task, **kwargs)), device='cpu',
                                                           show_progress=False)


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
