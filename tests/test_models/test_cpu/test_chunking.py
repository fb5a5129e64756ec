# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmcv.cnn.bricks.transformer import FFN

from mmvc.models.cpu import chunking
from mmvc.models.cpu.chunking import ChunkedFFN, apply_in_chunks


@pytest.mark.parametrize('size, sizes', [(1, [1] * 5), (2, [2, 2, 1]), (5, [5]), (9, [5])])
@pytest.mark.parametrize('dim', [0, 1])
def test_slices_come_in_chunks_and_return_in_their_order(size, sizes, dim):
    x, scale = torch.rand(5, 5, 3), torch.rand(5, 5, 1)
    seen = []

    def scaled(x, scale):
        seen.append(x.shape[dim])
        return (x * scale).sum(-1).double()  # of another shape and type

    with torch.no_grad():
        torch.testing.assert_close(apply_in_chunks(scaled, size, dim, x, scale), (x * scale).sum(-1).double())
    assert seen == sizes


def test_gradients_come_from_one_call():
    x = torch.rand(4, 3, requires_grad=True)
    calls = []
    apply_in_chunks(lambda x: calls.append(x) or x**2, 1, 0, x).sum().backward()
    assert len(calls) == 1
    torch.testing.assert_close(x.grad, 2 * x.detach())


def test_the_ffn_gives_in_chunks_what_it_gives_at_once(monkeypatch):
    monkeypatch.setattr(chunking, '_MAX_TOKENS', 3)
    args = dict(embed_dims=4, feedforward_channels=8, layer_scale_init_value=0.5)
    ours, theirs = ChunkedFFN(**args), FFN(**args)
    theirs.load_state_dict(ours.state_dict())
    lengths = []
    ours.layers.register_forward_pre_hook(lambda module, inputs: lengths.append(inputs[0].shape[1]))
    x, identity = torch.randn(2, 2, 8, 4)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
        torch.testing.assert_close(ours(x, identity), theirs(x, identity))
    assert lengths == [3, 3, 2] * 2
    x.requires_grad_()
    ours(x).sum().backward()
    assert lengths[6:] == [8] and x.grad.abs().sum() > 0
