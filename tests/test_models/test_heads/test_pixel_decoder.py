# Copyright (c) The mmvc contributors. All rights reserved.
import json

import mmdet.models.layers
import numpy as np
import pytest
import torch
from mmengine import ConfigDict

from mmvc.models.heads.pixel_decoder import MSDeformAttnPixelDecoder
from mmvc.models.layers.multi_scale_deformable_attention import MultiScaleDeformableAttention
from mmvc.models.official_weights.rules import PIXEL_DECODER_RULES
from mmvc.registry import MODELS
from tests.helpers.golden_utils import module_weights, names_here

CFG = dict(
    in_channels=[16, 24, 32, 40],
    strides=[4, 8, 16, 32],
    feat_channels=64,
    out_channels=32,
    num_outs=3,
    norm_cfg=dict(type='GN', num_groups=32),
    act_cfg=dict(type='ReLU'),
    encoder=dict(
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims=64, num_heads=4, num_levels=3, num_points=4, dropout=0., batch_first=True),
            ffn_cfg=dict(embed_dims=64, feedforward_channels=64, num_fcs=2, ffn_drop=0.))),
    positional_encoding=dict(num_feats=32, normalize=True))


@pytest.fixture
def golden(data_dir):
    with np.load(data_dir / 'goldens/pixel_decoder.npz') as arrays:
        return dict(arrays)


def _official_weights(golden):
    return module_weights({key: torch.from_numpy(golden[key]) for key in golden if key != 'meta'}, PIXEL_DECODER_RULES)


def _build():
    return MODELS.build(ConfigDict(type='mmvc.MSDeformAttnPixelDecoder', **CFG))


def test_equals_official(golden, device):
    decoder = _build().eval()
    assert isinstance(decoder, MSDeformAttnPixelDecoder)
    decoder.load_state_dict(_official_weights(golden))  # strict
    decoder.to(device)
    feats = [torch.from_numpy(golden[f'inp/res{i}']).to(device) for i in (2, 3, 4, 5)]
    with torch.no_grad():
        mask_feature, multi_scale_features = decoder(feats)

    assert len(multi_scale_features) == 3
    outputs = dict({f'multi_scale_features/{i}': x for i, x in enumerate(multi_scale_features)},
                   mask_features=mask_feature)
    for name, actual in outputs.items():
        expected = torch.from_numpy(golden[f'out/{name}']).to(device)
        assert actual.shape == expected.shape
        assert (actual - expected).abs().max() < 1e-5 * expected.abs().max(), name


def test_names_are_those_of_mmdet():
    decoder = _build()
    theirs = mmdet.models.layers.MSDeformAttnPixelDecoder(**ConfigDict(CFG))
    assert list(decoder.state_dict()) == list(theirs.state_dict())
    attentions = [m for m in decoder.modules() if isinstance(m, mmdet.models.layers.msdeformattn_pixel_decoder.
                                                             MultiScaleDeformableAttention)]
    assert len(attentions) == 2
    assert all(type(m) is MultiScaleDeformableAttention for m in attentions)


def test_initialisation_is_the_official_one(golden):
    """Mean and deviation of each parameter; constants exactly, random ones within what their number allows."""
    expected = json.loads(str(golden['meta']))['init_mean_std']
    decoder = _build()
    decoder.init_weights()
    parameters = dict(decoder.named_parameters())
    assert len(expected) == len(parameters)
    here = names_here(expected, PIXEL_DECODER_RULES)
    for name, (mean, std) in expected.items():
        parameter = parameters[here[name]]
        if std == 0 or 'sampling_offsets.bias' in name:
            tolerance = 1e-6
        else:
            tolerance = 6 * std / parameter.numel()**0.5
        assert abs(parameter.mean() - mean) <= tolerance, name
        assert abs(parameter.std() - std) <= tolerance, name


def test_trains_every_parameter(golden, device):
    decoder = _build().to(device)
    # at initialisation the attention ignores its query, so the positions would get no gradient
    decoder.load_state_dict(_official_weights(golden))
    feats = [torch.rand(1, c, 32 // s, 64 // s, device=device) for c, s in zip(CFG['in_channels'], (1, 2, 4, 8))]
    mask_feature, _ = decoder(feats)
    mask_feature.square().mean().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
