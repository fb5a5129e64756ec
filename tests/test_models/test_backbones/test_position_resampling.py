# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmvc.models.backbones.position_resampling import resample_positions


@pytest.mark.parametrize('grid', [(4, 6), (3, 9), (5, 8), (12, 5), (2, 2)])
def test_it_is_the_interpolation_of_dinov2(grid):
    table = torch.randn(1, 7, 5, 5)
    expected = F.interpolate(table, scale_factor=tuple((n + 0.1) / 5 for n in grid), mode='bicubic')
    torch.testing.assert_close(resample_positions(table, grid), expected, rtol=1e-5, atol=1e-5)


def test_the_grid_of_the_table():
    table = torch.randn(1, 7, 5, 5)
    torch.testing.assert_close(resample_positions(table, (5, 5)), table, rtol=1e-5, atol=1e-5)
