# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmvc.models.cpu import inference as module
from mmvc.models.cpu.inference import CPUInference


@pytest.fixture
def calls(monkeypatch):
    """Counts the calls of oneDNN's linear layer."""
    if module._ONEDNN_LINEAR is None:
        pytest.skip('this PyTorch has no oneDNN')
    module.can_pack()  # tries it once
    original, calls = module._ONEDNN_LINEAR, []

    def counted(*args):
        calls.append(args)
        return original(*args)

    monkeypatch.setattr(module, '_ONEDNN_LINEAR', counted)
    return calls


@torch.no_grad()
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('shape', [(8, ), (5, 8), (2, 5, 8), (2, 3, 5, 8)])
def test_linear(calls, shape, bias):
    layer = nn.Linear(8, 6, bias=bias)
    x = torch.randn(shape)
    with CPUInference():
        actual = layer(x)
        strided = F.linear(x.transpose(0, -2), weight=layer.weight, bias=layer.bias) if x.ndim > 1 else None
        of_strided_weight = F.linear(x, torch.arange(48.).view(8, 6).T)
    assert len(calls) == 2 + (x.ndim > 1)
    torch.testing.assert_close(actual, layer(x))
    torch.testing.assert_close(of_strided_weight, x @ torch.arange(48.).view(8, 6))
    if strided is not None:
        torch.testing.assert_close(strided, layer(x.transpose(0, -2)))


@torch.no_grad()
@pytest.mark.parametrize('batch_first', [True, False])
@pytest.mark.parametrize('masked', ['', 'mask', 'mask per head', 'padding', 'both'])
def test_attention(calls, masked, batch_first):
    """Against PyTorch's own function, dropout off in evaluation mode."""
    attention = nn.MultiheadAttention(12, 3, dropout=0.5, batch_first=batch_first).eval()
    nn.init.normal_(attention.in_proj_bias)
    nn.init.normal_(attention.out_proj.bias)
    query, key, value = torch.randn(2, 4, 12), torch.randn(2, 6, 12), torch.randn(2, 6, 12)
    inputs = [x if batch_first else x.transpose(0, 1) for x in (query, key, value)]
    masks = {}
    if masked in ('mask', 'both'):
        masks['attn_mask'] = torch.rand(4, 6) < 0.5
    if masked == 'mask per head':
        masks['attn_mask'] = torch.rand(2 * 3, 4, 6) < 0.5
    if masked in ('padding', 'both'):
        masks['key_padding_mask'] = torch.rand(2, 6) < 0.5
    for mask in masks.values():
        mask[..., 0] = False  # a query that may attend to nothing is NaN in both
    with CPUInference():
        actual, weights = attention(*inputs, **masks)
    assert len(calls) == 4 and weights is None
    torch.testing.assert_close(actual, attention(*inputs, **masks)[0])


@torch.no_grad()
def test_attention_with_options_is_left_to_pytorch(calls):
    query = torch.randn(4, 2, 12)
    for options in (dict(add_bias_kv=True), dict(add_zero_attn=True), dict(kdim=12, vdim=8)):
        attention = nn.MultiheadAttention(12, 3, **options).eval()
        value = torch.randn(4, 2, options.get('vdim', 12))
        with CPUInference():
            output, weights = attention(query, query.clone(), value)
        expected, expected_weights = attention(query, query.clone(), value)
        torch.testing.assert_close([output, weights], [expected, expected_weights])
    attention = nn.MultiheadAttention(12, 3).eval()
    with CPUInference():
        assert attention(query, query.clone(), query, average_attn_weights=False)[1].shape == (2, 3, 4, 4)
    attention = nn.MultiheadAttention(12, 3, dropout=0.5).train()
    with CPUInference():
        assert attention(query, query.clone(), query)[1] is not None
    assert not calls


@torch.no_grad()
def test_convolution_keeps_channels_last():
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 1, stride=2))
    x = torch.randn(2, 3, 6, 10)
    with CPUInference():
        actual = layers(x)
    assert actual.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(actual, layers(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize('options, is_linear', [
    (dict(), True), (dict(bias=False), True), (dict(stride=2), False), (dict(padding=1), False),
    (dict(padding='same'), False), (dict(groups=2), False), (dict(dilation=2), True),
    (dict(padding=1, padding_mode='reflect'), True)])
def test_pointwise_convolution_on_one_thread(calls, options, is_linear):
    num_threads = torch.get_num_threads()
    layer, x = nn.Conv2d(8, 6, 1, **options), torch.randn(2, 8, 5, 7)
    expected = layer(x)
    torch.set_num_threads(1)
    try:
        with CPUInference():
            actual = layer(x)
    finally:
        torch.set_num_threads(num_threads)
    assert bool(calls) == is_linear
    assert actual.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_resizing_a_part_of_a_larger_map_keeps_channels_last():
    x = torch.randn(1, 20, 8).permute(0, 2, 1)[..., :12].view(1, 8, 3, 4)
    with CPUInference():
        actual = F.interpolate(x, size=(6, 8), mode='bilinear', align_corners=False)
    assert actual.is_contiguous(memory_format=torch.channels_last)
    expected = F.interpolate(x.contiguous(), size=(6, 8), mode='bilinear', align_corners=False)
    torch.testing.assert_close(actual, expected)


def test_training_other_dtypes_and_autocast_run_as_ever(calls):
    layer = nn.Linear(8, 6)
    x = torch.randn(5, 8, requires_grad=True)
    with CPUInference():
        layer(x).sum().backward()
        assert x.grad.abs().sum() > 0
        with torch.no_grad():
            assert layer.double()(x.double()).dtype == torch.float64
            layer.float()
            with torch.autocast('cpu', torch.bfloat16):
                assert layer(x).dtype == torch.bfloat16
            assert layer(x[:0]).shape == (0, 6)
    assert not calls


@torch.no_grad()
def test_without_onednn_all_is_left_to_pytorch(monkeypatch):
    monkeypatch.setattr(module, '_ONEDNN_LINEAR', None)
    layer, x = nn.Linear(8, 6), torch.randn(5, 8)
    with CPUInference():
        assert torch.equal(layer(x), torch.addmm(layer.bias, x, layer.weight.T))
