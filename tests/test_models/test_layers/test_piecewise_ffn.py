# Copyright (c) The mmvc contributors. All rights reserved.
import torch
from mmcv.cnn.bricks.transformer import FFN

from mmvc.models.layers import piecewise_ffn
from mmvc.models.layers.piecewise_ffn import PiecewiseFFN


def test_pieces_give_what_the_whole_gives(monkeypatch):
    monkeypatch.setattr(piecewise_ffn, '_TOKENS_AT_ONCE', 3)
    args = dict(embed_dims=4, feedforward_channels=8, layer_scale_init_value=0.5)
    ours, theirs = PiecewiseFFN(**args), FFN(**args)
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
