# Copyright (c) The mmvc contributors. All rights reserved.
import copy
import gc

import pytest
import torch
from torch import nn

from mmvc.models.cpu import inference, packed_weights
from mmvc.models.cpu.inference import CPUInference
from mmvc.models.cpu.packed_weights import packed

needs_onednn = pytest.mark.skipif(inference._ONEDNN_LINEAR is None, reason='this PyTorch has no oneDNN')


def _counting(calls):
    return lambda weight: calls.append(weight) or weight + 1


def test_a_parameter_is_packed_once():
    weight, calls = nn.Parameter(torch.ones(3, 1)), []
    first, second = packed(weight, _counting(calls)), packed(weight, _counting(calls))
    assert first is second and len(calls) == 1
    assert first.flatten().tolist() == [2, 2, 2] and not first.requires_grad


@pytest.mark.parametrize('change', [
    lambda weight: weight.add_(1), lambda weight: weight.copy_(torch.full((3, 1), 2.)),
    lambda weight: setattr(weight, 'data', torch.full((3, 1), 2.)),
    lambda weight: weight.data.copy_(torch.full((3, 1), 2.))], ids=['step', 'load', 'replace', 'averaged weights'])
def test_a_changed_parameter_is_packed_anew(change):
    weight, calls = nn.Parameter(torch.ones(3, 1)), []
    packed(weight, _counting(calls))
    with torch.no_grad():
        change(weight)
    assert packed(weight, _counting(calls)).flatten().tolist() == [3, 3, 3] and len(calls) == 2


def test_what_is_no_parameter_is_left_alone():
    weight, calls = nn.Parameter(torch.ones(4, 2)), []
    part = weight[:2]
    assert packed(part, _counting(calls)) is part
    with torch.inference_mode():
        made = nn.Parameter(torch.ones(3, 1))
    assert packed(made, _counting(calls)) is made
    assert not calls


def test_nothing_is_kept_of_a_parameter_that_is_gone():
    gc.collect()
    before = len(packed_weights._PACKED)
    weight = nn.Parameter(torch.ones(3, 1))
    packed(weight, torch.clone)
    assert len(packed_weights._PACKED) == before + 1
    del weight
    gc.collect()
    assert len(packed_weights._PACKED) == before


@needs_onednn
@torch.no_grad()
def test_layers_give_what_they_gave_at_every_size_and_after_a_change():
    model = nn.Sequential(
        nn.Conv2d(8, 16, 3, padding=1, groups=2), nn.ReLU(), nn.Conv2d(16, 12, (3, 1), stride=2, dilation=2),
        nn.Flatten(2), nn.AdaptiveAvgPool1d(20), nn.Linear(20, 32), nn.Linear(32, 4, bias=False))
    for step in range(3):
        for shape in ((1, 8, 20, 30), (3, 8, 9, 7), (2, 8, 64, 48)):
            x = torch.randn(shape)
            with CPUInference():
                actual = model(x)
            torch.testing.assert_close(actual, model(x), rtol=1e-4, atol=1e-5)
        model = copy.deepcopy(model) if step == 0 else model
        model.load_state_dict({name: weight * 2 + 0.1 for name, weight in model.state_dict().items()})


@needs_onednn
@torch.no_grad()
def test_large_linear_layers_are_not_kept_twice():
    small, large = nn.Linear(8, 16), nn.Linear(1024, 1024)
    with CPUInference():
        small(torch.randn(1, 8))
        large(torch.randn(1, 1024))
    assert small.weight in packed_weights._PACKED and large.weight not in packed_weights._PACKED


@needs_onednn
@torch.no_grad()
def test_a_pytorch_that_packs_no_ordinary_tensors(monkeypatch):
    def refuse(*args):
        raise NotImplementedError('for MkldnnCPU only')

    inference.can_pack.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, '_reorder_linear_weight', refuse)
    model, x = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(2), nn.Linear(12, 2)), torch.randn(2, 4, 5, 6)
    try:
        with CPUInference():
            torch.testing.assert_close(model(x), model(x))
        assert not inference.can_pack() and model[0].weight not in packed_weights._PACKED
    finally:
        inference.can_pack.cache_clear()
