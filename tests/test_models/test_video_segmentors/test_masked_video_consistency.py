# Copyright (c) The mmvc contributors. All rights reserved.
"""Masked Video Consistency in the models: what the masking transforms leave in the samples, and how losses use it."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from tests.helpers.masked_clips import mask_clips
from tests.helpers.tiny_models import STAGES, build_model, make_batch


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(0)  # the transforms draw from numpy's generator


@pytest.fixture(params=STAGES)
def model(request):
    return build_model(request.param).train()


def losses_of(model, batch, masked_loss_weight, seed=0):
    """Losses of a copy (the refiner remembers objects of earlier calls), with the same random points each time."""
    model = deepcopy(model)
    model.masked_loss_weight = masked_loss_weight
    torch.manual_seed(seed)
    return model(**model.data_preprocessor(deepcopy(batch), training=True), mode='loss')


def assert_losses_close(actual, expected):
    assert actual.keys() == expected.keys()
    for name, loss in expected.items():
        torch.testing.assert_close(actual[name], loss, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f'{n}: {m}')


def switch(prob, kind='TubeMask'):
    return dict(type=kind, prob=prob)


def test_lambda_scales_every_loss_of_a_masked_clip(model):
    batch = mask_clips(make_batch(1), [switch(1.0)])
    plain = losses_of(model, batch, 1.0)
    assert all(loss > 0 for loss in plain.values())
    assert_losses_close(losses_of(model, batch, 0.25), {name: 0.25 * loss for name, loss in plain.items()})


def test_lambda_leaves_clean_clips_alone(model):
    clean = mask_clips(make_batch(1), [switch(0.0)])
    assert_losses_close(losses_of(model, clean, 0.0), losses_of(model, clean, 1.0))


def test_lambda_in_a_mixed_batch(model):
    """The masked clip's share is weighted, the clean one's is not, and the normalisers stay."""
    batch = mask_clips(make_batch(2), [switch(0.0), switch(1.0, 'RandomPatchMask')])
    plain, weighted, without = (losses_of(model, batch, weight) for weight in (1.0, 0.25, 0.0))
    assert_losses_close(weighted, {name: without[name] + 0.25 * (plain[name] - without[name]) for name in plain})
    # without any weight, it does not matter what the masked clip shows
    other = deepcopy(batch)
    other['inputs'][1] = 255 - other['inputs'][1]
    assert_losses_close(losses_of(model, other, 0.0), without)
    assert all(loss > 0 for loss in without.values())
    # a weight of one is no weight at all
    unmarked = deepcopy(batch)
    for sample in unmarked['data_samples']:
        for frame in sample:
            frame.set_metainfo(dict(masked=False, patch_mask=None))
    assert_losses_close(losses_of(model, unmarked, 0.5), plain)


@pytest.mark.parametrize('kind', ['TubeMask', 'RandomPatchMask'])
def test_sum_is_a_clean_and_a_masked_pass(model, kind):
    batch = mask_clips(make_batch(2), [dict(type=kind, mode='sum')] * 2)
    both = losses_of(model, batch, 0.25)
    clean = {name: loss for name, loss in both.items() if not name.startswith('masked.')}
    masked = {name[len('masked.'):]: loss for name, loss in both.items() if name.startswith('masked.')}

    # the same two passes as "switch" has them: one with clean clips, one with masked ones
    reference = deepcopy(model)
    reference.masked_loss_weight = 0.25
    clips = reference.data_preprocessor(deepcopy(batch), training=True)
    hidden = [torch.from_numpy(f.patch_mask.repeat(32, 0).repeat(32, 1)) for s in batch['data_samples'] for f in s]
    hidden = torch.stack(hidden)[:, :60, :90].view(2, 3, 1, 60, 90)
    for sample in clips['data_samples']:
        for frame in sample:
            frame.set_metainfo(dict(patch_mask=None))
    torch.manual_seed(0)
    assert_losses_close(clean, reference(**clips, mode='loss'))
    clips['inputs'][..., :60, :90].masked_fill_(hidden, 0.0)
    for sample in clips['data_samples']:
        for frame in sample:
            frame.set_metainfo(dict(masked=True))
    assert_losses_close(masked, reference(**clips, mode='loss'))


def test_sum_hides_exactly_the_patches(monkeypatch):
    model, seen = build_model('MinVIS').train(), []
    monkeypatch.setattr(model, 'stage_loss', lambda inputs, *args: seen.append(inputs) or {})
    batch = mask_clips(make_batch(2), [dict(type='RandomPatchMask', mode='sum')] * 2)
    model(**model.data_preprocessor(deepcopy(batch), training=True), mode='loss')
    clean, masked = seen
    assert clean.shape == (2, 3, 3, 64, 96)
    assert (clean != 0)[..., :60, :90].all()
    for clip in range(2):
        for t, frame in enumerate(batch['data_samples'][clip]):
            for i in range(2):
                for j in range(3):
                    patch = (clip, t, slice(None), slice(32 * i, 32 * i + 32), slice(32 * j, 32 * j + 32))
                    if frame.patch_mask[i, j]:
                        assert not masked[patch].any()
                    else:
                        assert torch.equal(masked[patch], clean[patch])


def test_switch_makes_one_pass(model, monkeypatch):
    """Whether its clips are clean, masked or both: the gradients of one forward pass are all the memory needs."""
    calls, stage_loss = [], model.stage_loss
    monkeypatch.setattr(model, 'stage_loss', lambda *args: calls.append(args) or stage_loss(*args))
    for probs in ((0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)):
        batch = mask_clips(make_batch(2), [switch(prob) for prob in probs])
        losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
        assert not any(name.startswith('masked.') for name in losses)
    assert len(calls) == 4


def test_both_passes_train(model):
    batch = mask_clips(make_batch(1), [dict(type='TubeMask', mode='sum')])
    optimizer = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3))
    losses = model.train_step(batch, optimizer)
    parts = [value for name, value in losses.items() if name != 'loss']
    torch.testing.assert_close(losses['loss'], sum(parts))
    assert losses['masked.loss_cls'] > 0
