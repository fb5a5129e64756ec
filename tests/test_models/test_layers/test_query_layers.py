# Copyright (c) The mmvc contributors. All rights reserved.
"""What the layers are by construction; their numbers are compared in the tests of tracker and refiner."""

import pytest
import torch
from torch import nn

from mmvc.models.layers import (
    ObjectMaskedCrossAttention,
    ReferringTrackerLayer,
    TemporalRefinerLayer,
    query_layers,
)

B, T, Q, C = 2, 6, 4, 16


@pytest.fixture
def tracker_layer():
    return ReferringTrackerLayer(C, 4, 32)


@pytest.fixture
def refiner_layer():
    return TemporalRefinerLayer(C, 4, 32, ObjectMaskedCrossAttention(C, 4, drop_ratio=1.0))


def test_referring_attention_adds_to_the_identity(tracker_layer):
    """With an attention that gives nothing, the reference does not show in the output, but the identity does."""
    nn.init.zeros_(tracker_layer.cross_attn.attn.out_proj.weight)
    identity, reference, other, frame = torch.randn(4, B, Q, C)
    output = tracker_layer(identity, reference, frame)
    assert torch.equal(output, tracker_layer(identity, other, frame))
    assert not torch.allclose(output, tracker_layer(other, reference, frame))


def test_reference_asks_and_frame_answers(tracker_layer):
    identity, reference, frame, other = torch.randn(4, B, Q, C)
    output = tracker_layer(identity, reference, frame)
    assert not torch.allclose(output, tracker_layer(identity, other, frame))
    assert not torch.allclose(output, tracker_layer(identity, reference, other))
    # the order of the frame's queries means nothing
    torch.testing.assert_close(output, tracker_layer(identity, reference, frame.flip(1)))


def test_tracker_layer_keeps_clips_apart(tracker_layer):
    x = torch.randn(3, B, Q, C)
    torch.testing.assert_close(tracker_layer(*x)[:1], tracker_layer(*x[:, :1]))


def test_refiner_layer_keeps_clips_apart(refiner_layer):
    x, frames = torch.randn(2, B, T, Q, C)
    scores = torch.rand(B, T, Q).round()
    torch.testing.assert_close(refiner_layer(x, frames, scores)[1:], refiner_layer(x[1:], frames[1:], scores[1:]))


def test_refiner_layer_follows_the_order_of_objects(refiner_layer):
    x, frames = torch.randn(2, B, T, Q, C)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(refiner_layer(x, frames)[:, :, order], refiner_layer(x[:, :, order], frames))
    # the segmenter's queries are not aligned: their order in a frame means nothing, their frame does
    torch.testing.assert_close(refiner_layer(x, frames), refiner_layer(x, frames[:, :, order]))
    assert not torch.allclose(refiner_layer(x, frames), refiner_layer(x, frames.roll(1, dims=1)))


def test_scores_belong_to_the_keys_of_their_frame(refiner_layer):
    """A key that is dropped in a frame is free to change there, and nowhere else."""
    x, frames = torch.randn(2, B, T, Q, C)
    scores = torch.zeros(B, T, Q)
    scores[1, 2, 3] = 1.0
    output = refiner_layer(x, frames, scores)
    changed = frames.clone()
    changed[1, 2, 3] += 10
    torch.testing.assert_close(refiner_layer(x, changed, scores), output)
    changed[1, 2, 2] += 10
    difference = (refiner_layer(x, changed, scores) - output).abs().sum(-1)
    assert difference[1, 2].all() and difference[1, 2].sum() == difference.sum()


def test_convolutions_see_their_neighbourhood(refiner_layer):
    """Kernels of 5 and 3 reach three frames far; attention over time is switched off to see it."""
    nn.init.zeros_(refiner_layer.time_attn.attn.out_proj.weight)
    x, frames = torch.randn(1, 9, Q, C), torch.randn(1, 9, Q, C)
    changed = x.clone()
    changed[:, 4] += 1.0 * torch.randn(Q, C)
    difference = (refiner_layer(changed, frames) - refiner_layer(x, frames)).abs().sum((0, 2, 3))
    assert (difference > 0).tolist() == [False, *[True] * 7, False]


def test_long_videos_are_refined_in_pieces(refiner_layer, monkeypatch):
    """Same result, and no piece holds more attention over time, or frames, than it may."""
    x, frames = torch.randn(2, B, T, Q, C)
    scores = torch.rand(B, T, Q).round()
    expected = refiner_layer(x, frames, scores)
    monkeypatch.setattr(query_layers, '_LOGITS_AT_ONCE', 3 * B * refiner_layer.time_attn.num_heads * T**2)
    monkeypatch.setattr(query_layers, 'FRAMES_AT_ONCE', 4)
    rows = {name: [] for name in ('time_attn', 'object_attn', 'cross_attn', 'ffn')}
    for name, seen in rows.items():
        getattr(refiner_layer, name).register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(len(inputs[0])))
    with torch.no_grad():
        torch.testing.assert_close(refiner_layer(x, frames, scores), expected)
    in_pieces = [B * 4, B * 2]
    assert rows == dict(time_attn=[B * 3, B * 1], object_attn=in_pieces, cross_attn=in_pieces, ffn=in_pieces)
    monkeypatch.setattr(query_layers, '_LOGITS_AT_ONCE', 1)  # a single course is more: it is taken alone
    with torch.no_grad():
        torch.testing.assert_close(refiner_layer(x, frames, scores), expected)


def test_single_frame(refiner_layer):
    assert refiner_layer(*torch.randn(2, B, 1, Q, C)).isfinite().all()


@pytest.mark.parametrize('name', ['tracker_layer', 'refiner_layer'])
def test_every_parameter_learns(name, request):
    layer = request.getfixturevalue(name)
    shape = (3, B, Q, C) if name == 'tracker_layer' else (2, B, T, Q, C)
    # layer norm has no gradient for a plain sum
    (layer(*torch.randn(shape)) * torch.randn(shape[1:])).sum().backward()
    for key, parameter in layer.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), key


def test_initialisation(refiner_layer, tracker_layer):
    convolution = refiner_layer.time_conv[0].weight.clone()
    refiner_layer.init_weights()
    tracker_layer.init_weights()
    assert torch.equal(refiner_layer.time_conv[0].weight, convolution)
    for layer in (refiner_layer, tracker_layer):
        linears = [layer.ffn.layers[0][0].weight, layer.cross_attn.attn.in_proj_weight]
        for weight in linears:
            bound = (6 / sum(weight.shape))**0.5  # Xavier's uniform distribution
            assert 0.95 * bound < weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
