# Copyright (c) The mmvc contributors. All rights reserved.
"""Rotary positions: the rule of DINOv3, and which tokens it turns."""

import math

import pytest
import torch
from transformers.models.dinov3_vit.modeling_dinov3_vit import DINOv3ViTConfig, DINOv3ViTRopePositionEmbedding

from mmvc.models.layers.rotary_position import RotaryPosition, rotate


@pytest.mark.parametrize('grid', [(4, 4), (3, 7)])
def test_angles_equal_those_of_transformers(grid):
    config = DINOv3ViTConfig(hidden_size=32, num_attention_heads=2, patch_size=16)
    images = torch.zeros(1, 3, grid[0] * 16, grid[1] * 16)
    expected = DINOv3ViTRopePositionEmbedding(config).eval()(images)
    for actual, angles in zip(RotaryPosition(16)(grid, torch.device('cpu')), expected, strict=True):
        torch.testing.assert_close(actual, angles)


def test_only_patches_turn_and_lengths_stay():
    x = torch.rand(2, 3, 5 + 6, 8)
    rotation = RotaryPosition(8)((2, 3), torch.device('cpu'))
    turned = rotate(x, rotation)
    assert torch.equal(turned[:, :, :5], x[:, :, :5])
    assert not torch.allclose(turned[:, :, 5:], x[:, :, 5:])
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1))


def test_products_depend_on_the_distance_only():
    """The product of a query and a key is the same for all pairs of patches at the same distance."""
    rotation = RotaryPosition(8)((1, 6), torch.device('cpu'))
    query, key = torch.rand(8), torch.rand(8)
    products = rotate(query.expand(1, 1, 6, 8), rotation)[0, 0] @ rotate(key.expand(1, 1, 6, 8), rotation)[0, 0].T
    for distance in range(-3, 4):
        diagonal = products.diagonal(distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5)


def test_rescaling_multiplies_coordinates():
    rotary = RotaryPosition(8)
    plain = rotary((2, 2), torch.device('cpu'))
    scaled = rotary((2, 2), torch.device('cpu'), torch.tensor([math.log(0.5)]))
    assert torch.allclose(torch.atan2(scaled.sin, scaled.cos)[:, 3], torch.atan2(plain.sin, plain.cos)[:, 3] / 2)
    draws = torch.cat([rotary.draw_log_rescale(torch.device('cpu')) for _ in range(2000)])
    assert draws.abs().max() <= math.log(2) and draws.abs().mean() == pytest.approx(math.log(2) / 2, abs=0.02)


def test_float32_also_under_autocast():
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rotation = RotaryPosition(8)((2, 2), torch.device('cpu'))
        assert rotation.cos.dtype == torch.float32
        assert rotate(torch.rand(1, 1, 4, 8, dtype=torch.bfloat16), rotation).dtype == torch.bfloat16


def test_wrong_arguments():
    with pytest.raises(ValueError, match='multiple of 4 channels, got 6'):
        RotaryPosition(6)
    with pytest.raises(ValueError, match='at least 1, got 0.5'):
        RotaryPosition(8, max_rescale=0.5)


def test_without_gradients():
    """The faster form gives the same, and leaves its input alone."""
    x = torch.randn(2, 11, 3, 8).transpose(1, 2)
    before, rotation = x.clone(), RotaryPosition(8)((2, 4), x.device)
    expected = rotate(x, rotation)
    with torch.no_grad():
        torch.testing.assert_close(rotate(x, rotation), expected)
    assert torch.equal(x, before)
