# Copyright (c) The mmvc contributors. All rights reserved.
"""The models of the configs: that all of them build, and how large they are."""

from functools import lru_cache

import pytest
from torch import nn

from tests.helpers.config_files import ENCODER_ONLY_STAGES, MVC_NAMES, STAGE_NAMES, baseline_of, load
from tests.helpers.tiny_configs import build, shrink

# Of the official models with 124 classes.
OFFICIAL = dict(
    r50=dict(backbone=23454912, pixel_decoder=6035904, decoder=14688125, tracker=26863741, refiner=44851582),
    vitl=dict(backbone=327501760, pixel_decoder=6101440, decoder=14739325, tracker=26863741, refiner=44851582))


@lru_cache(maxsize=None)
def tiny_shapes(name: str) -> dict:
    model = build(shrink(load(name).model))
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def count(module: nn.Module) -> int:
    """Parameters but those of frozen batch norm, which are buffers officially (trained batch norm is SyncBN)."""
    norms = sum(count_all(m) for m in module.modules() if isinstance(m, nn.BatchNorm2d))
    return count_all(module) - norms


def count_all(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize('name', STAGE_NAMES + ENCODER_ONLY_STAGES)
def test_builds(name):
    assert tiny_shapes(name)


@pytest.mark.parametrize('name', MVC_NAMES)
def test_method_adds_no_parameters(name):
    assert tiny_shapes(name) == tiny_shapes(baseline_of(name))


@pytest.mark.parametrize('folder', ['dvispp', 'mvc'])
@pytest.mark.parametrize('dataset', ['vspw', 'vipseg'])
@pytest.mark.parametrize('backbone', ['r50', 'vitl'])
def test_parameters_are_as_many_as_in_the_official_model(on_meta, folder, dataset, backbone):
    model = build(load(f'{folder}/dvispp_{backbone}_{dataset}_offline').model)
    pixel_decoder = count(model.head.pixel_decoder)
    assert OFFICIAL[backbone] == dict(
        backbone=count(model.backbone),
        pixel_decoder=pixel_decoder,
        decoder=count(model.head) - pixel_decoder,
        tracker=count(model.tracker),
        refiner=count(model.refiner))


def test_swin_large_is_the_segmenter_of_mask2former(on_meta):
    model = build(load('minvis/minvis_swinl_ytvis2019').model)
    assert count(model) == pytest.approx(216e6, rel=5e-3)  # its paper, tables 1 and 2
    assert [getattr(model.backbone, f'norm{i}').weight.numel() for i in range(4)] == [192, 384, 768, 1536]


@pytest.mark.parametrize('backbone', ['r50', 'swinl', 'vitl'])
def test_the_segmenter_trains_all_but_batch_norm_and_vit(on_meta, backbone):
    model = build(load(f'dvispp/dvispp_{backbone}_ovis_segmenter').model)
    frozen = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    frozen += [model.backbone.vit_module] if backbone == 'vitl' else []
    expected = {id(parameter) for module in frozen for parameter in module.parameters()}
    assert {id(parameter) for parameter in model.parameters() if not parameter.requires_grad} == expected
    assert bool(expected) == (backbone != 'swinl')
