# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmvc.apis import FrameResult, VideoResult, VideoSegInferencer
from tests.helpers.tiny_inference import tiny_config, vivid_model


@pytest.fixture
def make_inferencer(tmp_path) -> Callable[..., VideoSegInferencer]:
    """Build an inferencer with a tiny model, whose weights are in a file."""

    def make(stage: str = 'MinVIS', task: str = 'vss', **kwargs) -> VideoSegInferencer:
        cfg = tiny_config(stage, task)
        weights = tmp_path / f'{stage}.pth'
        if not weights.exists():
            torch.save(dict(state_dict=vivid_model(cfg).state_dict(), meta=dict(cfg=cfg.pretty_text)), weights)
        kwargs = dict(dict(weights=str(weights), show_progress=False, device='cpu'), **kwargs)
        return VideoSegInferencer(cfg, **kwargs)

    return make


@pytest.fixture
def frames() -> list[np.ndarray]:
    """Eight frames, 75 x 110: moving blocks, so that the prediction has more than one class."""
    return moving_blocks()


@pytest.fixture(scope='module', params=['vss', 'vps', 'vis'])
def segmented(request, tmp_path_factory) -> tuple[VideoResult, list[FrameResult]]:
    """The result of a video of three frames, and the full-size results of its frames. Tests do not change them."""
    cfg = tiny_config('DVISOffline', request.param)
    weights = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save(dict(state_dict=vivid_model(cfg).state_dict()), weights)
    inferencer = VideoSegInferencer(cfg, str(weights), 'cpu', show_progress=False)
    result, = inferencer(moving_blocks()[:3])
    return result, list(inferencer.stream(moving_blocks()[:3]))


def moving_blocks() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    video = []
    for t in range(8):
        frame = np.full((75, 110, 3), (40, 90, 140), np.uint8)
        frame[10:50, 5 + 6 * t:45 + 6 * t] = (220, 60, 20)
        frame[40:70, 60 - 4 * t:90 - 4 * t] = (10, 240, 90)
        video.append(np.clip(frame + rng.integers(-20, 20, frame.shape), 0, 255).astype(np.uint8))
    return video


@pytest.fixture
def frame_folder(tmp_path, frames) -> Path:
    """The frames as PNG files in a folder."""
    folder = tmp_path / 'data/JPEGImages/clip'
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'frame_{index}.png'), frame)
    return folder


@pytest.fixture
def video_file(tmp_path, frames) -> Path:
    """The frames as an avi of 12 frames per second."""
    path = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 12, (110, 75))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path
