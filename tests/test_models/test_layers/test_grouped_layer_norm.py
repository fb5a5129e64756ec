# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from torch import nn

from mmvc.models.layers.grouped_layer_norm import GroupedLayerNorm


def test_one_group_is_a_layer_norm():
    x = torch.randn(2, 3, 8)
    assert torch.equal(GroupedLayerNorm(8, 1)(x), nn.LayerNorm(8)(x))


def test_groups_do_not_see_each_other():
    x = torch.randn(2, 3, 4, 8)
    norm = GroupedLayerNorm(8, 2)
    with torch.no_grad():
        norm.weight.copy_(torch.rand(8))
        norm.bias.copy_(torch.rand(8))
    halves = [nn.functional.layer_norm(half, (4, ), weight, bias) for half, weight, bias in
              zip(x.chunk(2, dim=-1), norm.weight.chunk(2), norm.bias.chunk(2))]
    torch.testing.assert_close(norm(x), torch.cat(halves, dim=-1))


@pytest.mark.parametrize('num_groups', [0, 3])
def test_groups_divide_the_channels(num_groups):
    with pytest.raises(ValueError, match=f'8 channels cannot be divided into {num_groups} groups'):
        GroupedLayerNorm(8, num_groups)
