# Copyright (c) The mmvc contributors. All rights reserved.
"""Encoder-only models in the inferencer: a video file in, label maps, tracks and a video out."""

import cv2
import pytest
import torch

from mmvc.apis import VideoSegInferencer
from tests.helpers.encoder_only_models import tiny_video_model, vivid_video_model
from tests.helpers.tiny_inference import NUM_CLASSES, tiny_config


@pytest.fixture
def make(tmp_path):
    """Build an inferencer with the weights of a file."""

    def make(method, task='vss', **kwargs):
        cfg = tiny_config(task=task)
        cfg.model = tiny_video_model(method, task, NUM_CLASSES)
        weights = tmp_path / f'{method}.pth'
        torch.save(dict(state_dict=vivid_video_model(cfg.model).state_dict()), weights)
        return VideoSegInferencer(cfg, weights=str(weights), device='cpu', show_progress=False, **kwargs)

    return make


@pytest.mark.parametrize('method', ['VidEoMT', 'PMT', 'LVMT'])
@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_video_file(make, video_file, tmp_path, method, task):
    result, = make(method, task)(video_file, out_dir=tmp_path / 'out', formats=['overlay', 'masks', 'rle'])
    capture = cv2.VideoCapture(str(result.files['overlay']))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 8
    assert len(list(result.files['masks'].glob('*.png'))) == 8 and len(result.frames) == 8
    assert any(frame.segments for frame in result.frames)


def test_bfloat16(make, frames):
    """``--amp bf16`` runs the network in half precision, on a CPU too."""
    outputs = []
    for amp in (None, 'bf16'):
        inferencer, masks = make('VidEoMT', amp=amp), []
        inferencer.model.head.register_forward_hook(lambda *call, masks=masks: masks.append(call[-1][1]))
        assert len(list(inferencer.stream(frames))) == 8
        outputs.append(torch.cat(masks))
    expected, found = outputs
    assert (expected.dtype, found.dtype) == (torch.float32, torch.bfloat16)
    assert 0 < (found - expected).norm() < 0.03 * expected.norm()
