# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmcv.cnn.bricks.transformer import MultiheadAttention

from mmvc.models.layers import ObjectMaskedCrossAttention
from mmvc.registry import MODELS

N, Q, K, C = 3, 5, 7, 16


def build(**kwargs):
    return MODELS.build(dict(type='ObjectMaskedCrossAttention', embed_dims=C, num_heads=4, **kwargs))


@pytest.fixture
def inputs():
    """Queries, keys, and scores of the empty class: the first two keys of every frame are foreground."""
    scores = torch.full((N, K), 0.9)
    scores[:, :2] = 0.1
    return torch.randn(N, Q, C), torch.randn(N, K, C), scores


def plain_attention(module):
    plain = MultiheadAttention(C, 4, batch_first=True)
    plain.load_state_dict(module.state_dict())  # strict: no parameter more or less
    return plain.eval()


def test_adds_no_parameters():
    shapes = {name: value.shape for name, value in build().state_dict().items()}
    assert shapes == {
        name: value.shape
        for name, value in MultiheadAttention(C, 4, batch_first=True).state_dict().items()
    }
    assert not list(build(drop_ratio=1.0).buffers())


@pytest.mark.parametrize('drop_ratio, training', [(0.5, False), (1.0, False), (0.0, True)])
def test_is_plain_cross_attention_unless_it_masks(inputs, drop_ratio, training):
    query, key, scores = inputs
    module = build(drop_ratio=drop_ratio).train(training)
    assert torch.equal(module(query, key, scores), plain_attention(module)(query, key))


def test_is_plain_cross_attention_without_scores(inputs):
    query, key, _ = inputs
    module = build(drop_ratio=1.0).train()
    assert torch.equal(module(query, key), plain_attention(module)(query, key))


def test_equals_equation_7(inputs):
    """softmax(M + Q K^T / sqrt(d)) V, with M = -inf for the dropped keys, head by head, plus the residual."""
    query, key, scores = inputs
    module = build(drop_ratio=1.0).train()
    attn = module.attn
    weights, biases = attn.in_proj_weight.chunk(3), attn.in_proj_bias.chunk(3)
    q, k, v = (x @ w.T + b for x, w, b in zip((query, key, key), weights, biases))
    q, k, v = (x.unflatten(-1, (4, -1)).transpose(1, 2) for x in (q, k, v))
    logits = q @ k.transpose(-1, -2) / (C / 4)**0.5
    logits = logits.masked_fill((scores >= 0.6)[:, None, None], -torch.inf)
    expected = query + attn.out_proj((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(module(query, key, scores), expected)


def test_dropped_keys_have_no_influence(inputs):
    query, key, scores = inputs
    module = build(drop_ratio=1.0).train()
    changed = key.clone()
    changed[:, 2:] = 100 * torch.randn(N, K - 2, C)
    torch.testing.assert_close(module(query, key, scores), module(query, changed, scores))
    assert not torch.allclose(module.eval()(query, key, scores), module(query, changed, scores))


@pytest.mark.parametrize('threshold', [0.6, 0.25])
def test_background_begins_at_the_threshold(threshold):
    below = torch.nextafter(torch.tensor(threshold), torch.tensor(0.0)).item()
    scores = torch.tensor([[threshold, 1.0, below, 0.0]])
    dropped = build(drop_ratio=1.0, threshold=threshold).draw_dropped_keys(scores)
    assert dropped.tolist() == [[True, True, False, False]]


def test_default_threshold_is_the_papers():
    assert build(drop_ratio=1.0).draw_dropped_keys(torch.tensor([[0.59, 0.61]])).tolist() == [[False, True]]


@pytest.mark.parametrize('drop_ratio', [0.2, 0.5, 0.7])
def test_drop_frequency(drop_ratio):
    scores = torch.rand(400, 100)
    scores[:, 0] = 0.0  # no frame loses all its keys
    dropped = build(drop_ratio=drop_ratio).draw_dropped_keys(scores)
    background = scores >= 0.6
    assert not dropped[~background].any()
    frequency = dropped[background].float().mean().item()
    assert abs(frequency - drop_ratio) < 5 * (drop_ratio * (1 - drop_ratio) / background.sum().item())**0.5
    # every frame and every key has its own draw
    assert 0 < dropped[:, 1].sum() < background[:, 1].sum()
    assert 0 < dropped[0].sum() < background[0].sum()


def test_every_call_draws_anew():
    module, scores = build(), torch.ones(10, 50)
    assert not torch.equal(module.draw_dropped_keys(scores), module.draw_dropped_keys(scores))


def test_no_frame_loses_all_its_keys(inputs):
    query, key, scores = inputs
    scores[1] = 1.0  # only background in the second frame
    module = build(drop_ratio=1.0).train()
    dropped = module.draw_dropped_keys(scores)
    assert dropped.sum(1).tolist() == [K - 2, 0, K - 2]
    output = module(query, key, scores)
    assert output.isfinite().all()
    torch.testing.assert_close(output[1], plain_attention(module)(query, key)[1])

    # also by chance, with few keys
    assert not build(drop_ratio=0.9).draw_dropped_keys(torch.ones(1000, 2)).all(dim=1).any()


def test_gradients_are_finite(inputs):
    query, key, scores = inputs
    scores[1] = 1.0
    query.requires_grad_()
    key.requires_grad_()
    module = build(drop_ratio=1.0).train()
    module(query, key, scores).square().sum().backward()
    for value in (query, key, *module.parameters()):
        assert value.grad.isfinite().all() and value.grad.abs().sum() > 0
    assert not key.grad[0, 2:].any() and key.grad[1].abs().sum(1).all()


def test_mask_at_test(inputs):
    query, key, scores = inputs
    module = build(drop_ratio=1.0, mask_at_test=True).eval()
    assert module.draw_dropped_keys(scores).sum() == N * (K - 2)
    assert not torch.allclose(module(query, key, scores), plain_attention(module)(query, key))
    assert build(drop_ratio=1.0).eval().draw_dropped_keys(scores) is None


@pytest.mark.parametrize('name', ['drop_ratio', 'threshold'])
@pytest.mark.parametrize('value', [-0.1, 1.1])
def test_arguments_are_probabilities(name, value):
    with pytest.raises(ValueError, match=f'{name}.*got {value}'):
        ObjectMaskedCrossAttention(C, 4, **{name: value})
