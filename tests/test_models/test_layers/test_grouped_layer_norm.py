# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from torch import nn

from mmvc.engine.checkpoints import weight_mismatches
from mmvc.models.layers.grouped_layer_norm import GroupedLayerNorm


def test_one_group_is_a_layer_norm():
    x = torch.randn(2, 3, 8)
    norm = GroupedLayerNorm(8, 1)
    norm.load_state_dict(nn.LayerNorm(8).state_dict())
    assert torch.equal(norm(x), nn.LayerNorm(8)(x))


def test_groups_do_not_see_each_other():
    x = torch.randn(2, 3, 4, 8)
    norm = GroupedLayerNorm(8, 2)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(2, 4))
        norm.bias.copy_(torch.rand(2, 4))
    halves = [nn.functional.layer_norm(half, (4, ), weight, bias) for half, weight, bias in
              zip(x.chunk(2, dim=-1), norm.weight, norm.bias)]
    torch.testing.assert_close(norm(x), torch.cat(halves, dim=-1))


@pytest.mark.parametrize('num_groups', [0, 3])
def test_groups_divide_the_channels(num_groups):
    with pytest.raises(ValueError, match=f'8 channels cannot be divided into {num_groups} groups'):
        GroupedLayerNorm(8, num_groups)


@pytest.mark.parametrize('own, given', [(2, 1), (1, 2)])
def test_weights_of_another_norm_are_not_taken(own, given):
    norm, weights = GroupedLayerNorm(8, own), GroupedLayerNorm(8, given).state_dict()
    lines = weight_mismatches(nn.ModuleDict(dict(norm=norm)), {f'norm.{name}': x for name, x in weights.items()})
    assert len(lines) == 2
    assert all(f'(it was trained with norm_groups={given})' in line for line in lines)


def test_other_channels_have_no_explanation():
    assert GroupedLayerNorm(8, 2).explain_shape('weight', (6, )) is None
