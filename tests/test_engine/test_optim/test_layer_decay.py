# Copyright (c) The mmvc contributors. All rights reserved.
"""Layer-wise learning-rate decay, against the parameter groups of the official VidEoMT, PMT and LVMT."""

import copy

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

import mmvc.engine  # noqa: F401  registers the constructor
from mmvc.utils.errors import UsageError
from tests.helpers.config_files import CONFIG_DIR
from tests.helpers.official_groups import model_of, official_groups

MODELS = ('videomt_dinov2', 'videomt_dinov3', 'pmt_dinov2', 'pmt_dinov3', 'lvmt_dinov2', 'lvmt_dinov2_tuned_encoder',
          'lvmt_dinov3', 'lvmt_dinov3_tuned_encoder')


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmvc')


def config(**paramwise_cfg) -> Config:
    """The optimizer of the configs."""
    cfg = Config.fromfile(f'{CONFIG_DIR}/_base_/schedules/encoder_only.py').optim_wrapper
    cfg.type = 'OptimWrapper'  # mixed precision needs a GPU
    cfg.paramwise_cfg.update(paramwise_cfg)
    return cfg


def settings_of(model: nn.Module, wrapper) -> dict[str, tuple[float, float, str]]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[parameter]: (group['lr'] / 1e-4, group['weight_decay'], group['part'])
            for group in wrapper.optimizer.param_groups for parameter in group['params']}


@pytest.mark.parametrize('norm_as_first_block', [False, True])
@pytest.mark.parametrize('name', MODELS)
def test_official_groups(data_dir, name, norm_as_first_block):
    expected = official_groups(data_dir, name)
    encoder = [key for key in official_groups(data_dir, f'videomt_{name.split("_")[1]}') if key.startswith('encoder.')]
    model = model_of([*expected, *encoder])
    is_trained = encoder[0] in expected
    model.encoder.requires_grad_(is_trained)
    if is_trained:
        for key in ('encoder.norm.weight', 'encoder.norm.bias'):
            official = 0.07776 if 'dinov3' in name else 1.0
            assert expected[key] == (official, 0.05, 'encoder')
            expected[key] = (0.07776 if norm_as_first_block else 1.0, 0.05, 'encoder')
    wrapper = build_optim_wrapper(model, config(norm_as_first_block=norm_as_first_block))
    found = settings_of(model, wrapper)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == (pytest.approx(values[0], rel=1e-9), *values[1:]), key
    assert len(wrapper.optimizer.param_groups) == len({values[::2] for values in expected.values()})
    assert wrapper.optimizer.param_groups[0]['part'] == 'new'


@pytest.mark.parametrize('name', ['videomt_vitl_dinov2', 'videomt_vitl_dinov3'])
def test_official_factors_of_24_blocks(data_dir, name):
    """The golden names one parameter of each block."""
    expected = official_groups(data_dir, name)
    model = model_of(expected)
    found = settings_of(model, build_optim_wrapper(model, config(norm_as_first_block='dinov3' in name)))
    assert {key: value[0] for key, value in found.items()} == {
        key: pytest.approx(value[0], rel=1e-8) for key, value in expected.items()}
    assert len({value[0] for value in found.values()}) == 24


def test_options_of_mmengine_are_multiplied(data_dir):
    names = official_groups(data_dir, 'videomt_dinov2')
    model = model_of(names)
    model.encoder.norm = nn.LayerNorm(1)
    custom_keys = {'encoder.blocks.0': dict(lr_mult=0.5, decay_mult=0.), 'query_embed': dict(lr_mult=2.)}
    found = settings_of(model, build_optim_wrapper(
        model, config(decay_rate=0.1, norm_decay_mult=0., custom_keys=custom_keys)))
    assert found['encoder.blocks.0.attn.qkv.weight'] == (pytest.approx(0.5e-5), 0., 'encoder')
    assert found['encoder.blocks.1.attn.qkv.weight'] == (pytest.approx(1e-4), 0.05, 'encoder')
    assert found['encoder.norm.weight'] == (1.0, 0., 'encoder')
    assert found['query_embed.weight'] == (2.0, 0.05, 'new')


def test_one_rate(data_dir):
    model = model_of(official_groups(data_dir, 'videomt_dinov2'))
    wrapper = build_optim_wrapper(model, config(decay_rate=1))
    assert [(group['lr'], group['part']) for group in wrapper.optimizer.param_groups] == [
        (1e-4, 'new'), (1e-4, 'encoder')]


def without_rate() -> Config:
    cfg = config()
    del cfg.paramwise_cfg
    return cfg


def without_lr() -> Config:
    cfg = config()
    del cfg.optimizer.lr
    return cfg


@pytest.mark.parametrize('cfg, message', [
    (lambda: config(decay_rate=0), r'decay_rate must lie in \(0, 1\], got 0'),
    (lambda: config(decay_rate=1.5), r'decay_rate must lie in \(0, 1\], got 1.5'),
    (lambda: config(decay_rate='0.6'), "decay_rate must lie in .* got '0.6'"),
    (without_rate, 'needs optim_wrapper.paramwise_cfg.decay_rate: .* such as 0.6'),
    (without_lr, 'needs optim_wrapper.optimizer.lr'),
])
def test_wrong_settings(data_dir, cfg, message):
    with pytest.raises(UsageError, match=message):
        build_optim_wrapper(model_of(official_groups(data_dir, 'videomt_dinov2')), copy.deepcopy(cfg()))


@pytest.mark.parametrize('names', [['backbone.blocks.0.weight'], ['encoder.layers.0.weight']])
def test_a_model_without_blocks(names):
    with pytest.raises(UsageError, match='needs a model with encoder.blocks, and Module has none: remove'):
        build_optim_wrapper(model_of(names), config())
