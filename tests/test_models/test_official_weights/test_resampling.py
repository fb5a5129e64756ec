# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
import torch.nn.functional as F

from mmvc.models.official_weights.resampling import resample_patch_kernel, resample_position_table, table_side


def resize(images, size):
    return F.interpolate(images, size=(size, size), mode='bicubic', antialias=True)


def test_larger_patch_gives_the_same_embedding():
    """Equation 4 of FlexiViT: a resized patch has the embedding of the original one."""
    kernel, patches = torch.randn(5, 3, 14, 14), torch.rand(7, 3, 14, 14)
    resampled = resample_patch_kernel(kernel, 16)
    assert resampled.shape == (5, 3, 16, 16) and resampled.dtype == torch.float32
    torch.testing.assert_close(F.conv2d(resize(patches, 16), resampled), F.conv2d(patches, kernel), rtol=0, atol=5e-4)
    # bilinear resizing of the kernel, as the ViT-Adapter of DVIS++ has it, does not
    other = F.interpolate(kernel, size=(16, 16), mode='bilinear', align_corners=True)
    assert (F.conv2d(resize(patches, 16), other) - F.conv2d(patches, kernel)).abs().mean() > 1


def test_smaller_patch_gives_the_nearest_embedding():
    """Least squares: no other kernel is nearer, over all patches."""
    kernel = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    resampled = resample_patch_kernel(kernel, 8)
    basis = torch.eye(256, dtype=torch.float64).view(-1, 1, 16, 16)

    def error_of(new):
        return sum((F.conv2d(resize(basis, 8), new[:, i:i + 1]) - F.conv2d(basis, kernel[:, i:i + 1])).square().sum()
                   for i in range(3))

    for _ in range(5):
        assert error_of(resampled + 1e-3 * torch.randn_like(resampled)) > error_of(resampled)


def test_kernel_of_the_same_size_is_kept():
    kernel = torch.randn(2, 3, 16, 16)
    assert resample_patch_kernel(kernel, 16) is kernel


def test_table_keeps_rows_and_columns_apart():
    rows, columns = torch.meshgrid(torch.arange(6.), torch.arange(6.), indexing='ij')
    table = torch.stack([rows, 10 * columns], dim=-1).view(1, 36, 2)
    resampled = resample_position_table(table, 12).view(12, 12, 2)
    inner = slice(4, 8)  # bicubic interpolation reproduces a plane away from the border
    expected = (torch.arange(12.) + 0.5) / 2 - 0.5
    torch.testing.assert_close(resampled[inner, inner, 0], expected[inner, None].expand(4, 4))
    torch.testing.assert_close(resampled[inner, inner, 1], 10 * expected[None, inner].expand(4, 4))
    assert resample_position_table(table, 6) is table


def test_table_is_antialiased_when_it_shrinks():
    """A chequerboard averages out."""
    rows, columns = torch.meshgrid(torch.arange(12), torch.arange(12), indexing='ij')
    table = ((rows + columns) % 2 * 2. - 1).view(1, 144, 1).half()
    resampled = resample_position_table(table, 4)
    assert resampled.dtype == torch.half and resampled.abs().max() < 0.1


@pytest.mark.parametrize('positions, side', [(36, 6), (37, None), (1600, 40), (1, 1), (0, 0)])
def test_table_side(positions, side):
    assert table_side(torch.zeros(1, positions, 2)) == side
