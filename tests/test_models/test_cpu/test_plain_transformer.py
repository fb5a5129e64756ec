# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmvc.models.cpu import inference, plain_transformer, use_cpu_kernels
from mmvc.models.cpu.plain_transformer import attend, double_size, linear_gelu

needs_onednn = pytest.mark.skipif(inference._ONEDNN_LINEAR is None, reason='this PyTorch has no oneDNN')


@pytest.fixture
def calls(monkeypatch):
    """Names of the products of oneDNN that were made."""
    calls = []

    def watch(name):
        original = getattr(plain_transformer, name)
        monkeypatch.setattr(plain_transformer, name,
                            lambda *args, **kwargs: calls.append(name) or original(*args, **kwargs))

    watch('linear')
    watch('product')
    return calls


def strided_heads(batch, tokens, heads=3, dims=8):
    """Queries, keys and values as views of one projection, as an attention layer has them."""
    qkv = torch.randn(batch, tokens, 3, heads, dims, generator=torch.Generator().manual_seed(0))
    return qkv.permute(2, 0, 3, 1, 4)


@needs_onednn
@pytest.mark.parametrize('max_weights', [2**20, 300 * 70, 1])
@torch.no_grad()
def test_attend(calls, monkeypatch, max_weights):
    """All queries at once, in uneven chunks, and one by one."""
    monkeypatch.setattr(plain_transformer, '_MAX_ATTENTION_WEIGHTS', max_weights)
    query, key, value = strided_heads(2, 300)
    query = query[:, :, :290]
    actual = attend(query, key, value)
    assert calls.count('product') >= 2 * 2 * 3
    torch.testing.assert_close(actual, F.scaled_dot_product_attention(query, key, value))


@torch.no_grad()
def test_attend_leaves_other_cases_to_pytorch(calls):
    query, key, value = strided_heads(1, 300)
    mask = torch.rand(1, 1, 300, 300) < 0.5
    torch.testing.assert_close(
        attend(query, key, value, mask), F.scaled_dot_product_attention(query, key, value, mask))
    few = strided_heads(1, 20)
    torch.testing.assert_close(attend(*few), F.scaled_dot_product_attention(*few))
    with torch.enable_grad():
        attend(query.clone().requires_grad_(), key, value).sum().backward()
    assert not calls


@needs_onednn
@torch.no_grad()
def test_attend_in_half_precision(calls):
    """As close to float32 as its output can be."""
    heads = strided_heads(1, 300).bfloat16()
    expected = F.scaled_dot_product_attention(*heads.float())
    with torch.autocast('cpu', torch.bfloat16):
        actual = attend(*heads)
    assert calls and actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual, expected.bfloat16(), rtol=2**-7, atol=1e-6)


@needs_onednn
@torch.no_grad()
def test_linear_gelu(calls):
    layer, x = nn.Linear(8, 12), torch.randn(2, 5, 8)
    torch.testing.assert_close(linear_gelu(x, layer), F.gelu(layer(x)))
    assert calls == ['linear']


@needs_onednn
@pytest.mark.parametrize('packs', [True, False])
@torch.no_grad()
def test_double_size(calls, monkeypatch, packs):
    """With the packed weight and without it, again after the weight has changed."""
    monkeypatch.setattr(plain_transformer, 'can_pack', lambda: packs)
    layer = nn.ConvTranspose2d(8, 6, kernel_size=2, stride=2)
    for x in (torch.randn(2, 8, 3, 5), torch.randn(1, 4, 7, 8).permute(0, 3, 1, 2)):
        torch.testing.assert_close(double_size(x, layer), F.gelu(layer(x)))
        layer.weight.mul_(2)
    assert calls == ['linear'] * 2
    with torch.inference_mode():
        layer = nn.ConvTranspose2d(8, 6, kernel_size=2, stride=2)  # its weight is never packed
        torch.testing.assert_close(double_size(x, layer), F.gelu(layer(x)))


def test_gradients_run_in_the_ordinary_form(calls):
    layer, deconv, x = nn.Linear(8, 8), nn.ConvTranspose2d(8, 8, 2, 2), torch.randn(1, 3, 5, 8)
    (linear_gelu(x, layer).sum() + double_size(x.permute(0, 3, 1, 2), deconv).sum()).backward()
    assert layer.weight.grad.any() and deconv.weight.grad.any() and not calls


@torch.no_grad()
def test_switch(calls):
    use_cpu_kernels(False)
    try:
        attend(*strided_heads(1, 300))
        linear_gelu(torch.randn(2, 8), nn.Linear(8, 8))
        double_size(torch.randn(1, 8, 2, 2), nn.ConvTranspose2d(8, 8, 2, 2))
    finally:
        use_cpu_kernels(True)
    assert not calls
