# Copyright (c) The mmvc contributors. All rights reserved.
import torch
from torch import nn

from mmvc.models.layers.initialization import zero_init_branches
from mmvc.models.layers.object_masked_attention import ObjectMaskedCrossAttention
from mmvc.models.layers.query_layers import ReferringTrackerLayer, TemporalRefinerLayer


def test_tracker_layer_starts_as_its_norms():
    layer = ReferringTrackerLayer(16, 2, 32).eval()
    layer.init_weights()
    identity, reference, embeds = torch.randn(3, 2, 5, 16)
    norm = nn.functional.layer_norm(identity, (16, ))
    assert not torch.allclose(layer(identity, reference, embeds), norm, atol=1e-2)
    zero_init_branches(layer)
    torch.testing.assert_close(layer(identity, reference, embeds), norm, atol=1e-3, rtol=1e-3)


def test_refiner_layer_starts_as_its_norms():
    cross_attn = ObjectMaskedCrossAttention(embed_dims=16, num_heads=2, drop_ratio=0.)
    layer = TemporalRefinerLayer(16, 2, 32, cross_attn).eval()
    x, embeds = torch.randn(2, 2, 4, 5, 16)
    zero_init_branches(layer)
    torch.testing.assert_close(layer(x, embeds), nn.functional.layer_norm(x, (16, )), atol=1e-3, rtol=1e-3)


def test_branches_learn_from_the_first_step():
    layer = ReferringTrackerLayer(16, 2, 32)
    zero_init_branches(layer)
    layer(*torch.randn(3, 2, 5, 16)).square().sum().backward()
    for last in (layer.cross_attn.attn.out_proj, layer.self_attn.attn.out_proj, layer.ffn.layers[1]):
        assert last.weight.grad.abs().sum() > 0
