# Copyright (c) The mmvc contributors. All rights reserved.
"""Training and testing under autocast give finite numbers, close to those of full precision."""

import pytest
import torch

from tests.helpers.tiny_models import STAGES, build_model, make_batch, make_video

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


@pytest.mark.parametrize('stage', STAGES)
def test_scaled_float16_training_takes_steps(stage, device):
    # what AmpOptimWrapper does, which itself refuses to run without an accelerator
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('torch before 2.3 scales losses on CUDA only')
    model = build_model(stage).to(device).train()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    before = {name: p.detach().clone() for name, p in trained.items()}
    optimizer, scaler = torch.optim.AdamW(trained.values(), lr=1e-4), torch.amp.GradScaler(device)
    steps = 0
    for _ in range(12):
        data = model.data_preprocessor(make_batch(num_clips=1), training=True)
        with torch.autocast(device, dtype=torch.float16):
            losses = model(**data, mode='loss')
        scaler.scale(sum(losses.values())).backward()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(trained.values(), 0.01)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        steps += bool(norm.isfinite())
        if steps == 2:
            break
    assert steps == 2, f'the scale fell to {scaler.get_scale()} without two finite gradients'
    assert all(p.isfinite().all() for p in trained.values())
    assert any(not torch.equal(p, before[name]) for name, p in trained.items())


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('stage', STAGES)
def test_a_video_is_segmented(stage, dtype, device):
    model = build_model(stage).to(device).eval()
    with torch.autocast(device, dtype=dtype):
        sample, = model.predict([torch.randint(256, (3, 3, 60, 90), dtype=torch.uint8)], make_video(3))
    for frame in sample:
        assert frame.pred_sem_seg.sem_seg.shape == (1, 75, 110) and frame.pred_sem_seg.sem_seg.max() < 10
