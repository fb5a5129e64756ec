# Copyright (c) The mmvc contributors. All rights reserved.
"""Training and testing under autocast give finite numbers, close to those of full precision."""

import pytest
import torch
from tiny_models import STAGES, build_model, make_batch, make_video

DTYPES = [torch.bfloat16, torch.float16]


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('iteration', [0, 9], ids=['guided', 'unguided'])
@pytest.mark.parametrize('stage', STAGES)
def test_a_training_step_stays_finite(stage, iteration, dtype, set_iteration, device):
    model = build_model(stage).to(device).train()
    set_iteration(iteration, 10)
    data = model.data_preprocessor(make_batch(num_clips=1), training=True)
    with torch.autocast(device, dtype=dtype):
        losses = model(**data, mode='loss')
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('stage', STAGES)
def test_a_video_is_segmented(stage, dtype, device):
    model = build_model(stage).to(device).eval()
    with torch.autocast(device, dtype=dtype):
        sample, = model.predict([torch.randint(256, (3, 3, 60, 90), dtype=torch.uint8)], make_video(3))
    for frame in sample:
        assert frame.pred_sem_seg.sem_seg.shape == (1, 75, 110) and frame.pred_sem_seg.sem_seg.max() < 10
