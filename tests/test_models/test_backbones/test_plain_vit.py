# Copyright (c) The mmvc contributors. All rights reserved.
"""The encoder by itself: tokens, position tables of other sizes, settings that do not fit."""

import pytest
import torch
import torch.nn.functional as F

from mmvc.models.backbones import PlainViT
from mmvc.utils.errors import UsageError

TINY = dict(embed_dims=16, depth=2, num_heads=2)


def make_vit(position='absolute', **settings):
    torch.manual_seed(0)
    vit = PlainViT(TINY, position, position_grid=4, **settings)
    vit.init_weights()
    return vit.eval()


def test_sizes():
    for arch, millions in (('small', 22), ('base', 86), ('large', 304)):
        with torch.device('meta'):
            vit = PlainViT(arch, 'rope')
        assert abs(sum(p.numel() for p in vit.parameters()) / 1e6 - millions) < 1


@pytest.mark.parametrize('position', ['absolute', 'rope'])
def test_tokens_of_any_size(position):
    vit = make_vit(position, num_registers=3)
    tokens = vit.embed(torch.rand(2, 3, 32, 80))
    assert tokens.shape == (2, 1 + 3 + 2 * 5, 16) and vit.num_prefix_tokens == 4
    assert torch.equal(tokens[0, :4], tokens[1, :4])  # class and register tokens are the same in all images


def test_table_belongs_to_patches_only():
    vit = make_vit()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = vit.embed(images)
        vit.pos_embed.add_(1)
        change = vit.embed(images) - before
    assert change[:, :5].abs().max() == 0 and torch.allclose(change[:, 5:], torch.ones(()))


def test_table_is_used_as_it_is_only_for_its_own_grid():
    """A grid of another shape gets a resampled table, also one with as many patches."""
    vit = make_vit()
    assert vit.resample_table((4, 4)) is vit.pos_embed
    table = vit.pos_embed.unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    for grid in ((2, 8), (3, 5), (9, 9)):
        expected = F.interpolate(table, grid, mode='bicubic', antialias=True)
        assert torch.allclose(vit.resample_table(grid), expected.flatten(2).transpose(1, 2))


def test_table_learns_through_resampling():
    vit = make_vit()
    vit.embed(torch.rand(1, 3, 48, 32)).square().sum().backward()
    assert vit.pos_embed.grad.abs().min() > 0


def test_positions_matter():
    """Without positions, the output for shuffled patches would be the shuffled output."""
    for position in ('absolute', 'rope'):
        vit = make_vit(position, layer_scale=1.0)
        for parameter in vit.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        image = torch.rand(1, 3, 16, 32)
        swapped = torch.cat([image[..., 16:], image[..., :16]], dim=-1)
        outputs = []
        for images in (image, swapped):
            x = vit.embed(images)
            for block in vit.blocks:
                x = block(x, vit.rotation((1, 2)))
            outputs.append(x)
        assert (outputs[0][:, -1] - outputs[1][:, -2]).abs().max() > 1e-3


@pytest.mark.parametrize(('settings', 'message'), [
    (dict(arch='huge', position='rope'), "one of .*'small', 'base', 'large'"),
    (dict(arch=dict(dims=8), position='rope'), r"embed_dims, depth and num_heads; got the keys \['dims'\]"),
    (dict(arch=TINY, position='sine'), "'absolute' .*or 'rope' .*got 'sine'"),
    (dict(arch=dict(TINY, num_heads=3), position='rope'), 'num_heads=3 must divide embed_dims=16'),
    (dict(arch=dict(TINY, num_heads=8), position='rope'), 'multiple of 4 channels, got 2'),
])
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=message):
        PlainViT(**settings)


def test_frames_that_are_no_whole_patches():
    with pytest.raises(UsageError, match='40 x 64 .* patches of 16: set model.data_preprocessor.pad_size_divisor'):
        make_vit().embed(torch.rand(1, 3, 40, 64))


@pytest.mark.parametrize('setting', [dict(patch_size=0), dict(position_grid=0), dict(num_registers=-1)])
def test_numbers_out_of_range_are_refused(setting):
    with pytest.raises(UsageError, match=f'encoder.{list(setting)[0]} must be at least'):
        PlainViT(TINY, 'absolute', **setting)
