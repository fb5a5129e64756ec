# Copyright (c) The mmvc contributors. All rights reserved.
"""Layer-wise learning-rate decay, against the parameter groups of the official VidEoMT, PMT and LVMT."""

import re

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

import mmvc.engine  # noqa: F401  registers the constructor
from mmvc.utils.errors import UsageError
from tests.helpers.config_files import CONFIG_DIR
from tests.helpers.encoder_only_goldens import MODEL_NAMES
from tests.helpers.official_groups import TUNED, official_groups, official_rows

NAMES = [*MODEL_NAMES, f'lvmt_dinov2{TUNED}', f'lvmt_dinov3{TUNED}']


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


class Blocks(nn.Module):
    """A model with an encoder of many small blocks."""

    def __init__(self, depth):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.cls_token = nn.Parameter(nn.Linear(1, 1).weight)
        self.encoder.blocks = nn.ModuleList(nn.Linear(1, 1) for _ in range(depth))
        self.encoder.norm = nn.LayerNorm(1)
        self.head = nn.Linear(1, 1)


@pytest.mark.parametrize('norm_as_first_block', [False, True])
@pytest.mark.parametrize('name', NAMES)
def test_official_groups(data_dir, name, norm_as_first_block):
    model, expected = official_groups(data_dir, name)
    if 'encoder.norm.weight' in expected:
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
    model = Blocks(24)
    found = settings_of(model, build_optim_wrapper(model, config(norm_as_first_block='dinov3' in name)))
    rows = official_rows(data_dir, name)
    blocks = {int(match[1]): settings[0] for parameter, settings in rows
              if (match := re.search(r'blocks\.(\d+)', parameter))}
    assert {i: found[f'encoder.blocks.{i}.weight'][0] for i in range(24)} == {
        i: pytest.approx(factor, rel=1e-8) for i, factor in blocks.items()}
    for part in ('cls_token', 'norm.weight'):
        official, = (settings[0] for parameter, settings in rows if parameter.endswith(f'.{part}') and
                     parameter.startswith('backbone.encoder.') and '.blocks.' not in parameter)
        assert found[f'encoder.{part}'][0] == pytest.approx(official, rel=1e-8)


def test_options_of_mmengine_are_multiplied():
    model = Blocks(2)
    custom_keys = {'encoder.blocks.0': dict(lr_mult=0.5, decay_mult=0.), 'head': dict(lr_mult=2.)}
    wrapper = build_optim_wrapper(model, config(decay_rate=0.1, norm_decay_mult=0., custom_keys=custom_keys))
    found = settings_of(model, wrapper)
    assert found['encoder.blocks.0.weight'] == (pytest.approx(0.05), 0., 'encoder')
    assert found['encoder.blocks.1.weight'] == (1.0, 0.05, 'encoder')
    assert found['encoder.cls_token'] == (pytest.approx(0.1), 0.05, 'encoder')
    assert found['encoder.norm.weight'] == (1.0, 0., 'encoder')
    assert found['head.weight'] == (2.0, 0.05, 'new')


def test_one_rate():
    wrapper = build_optim_wrapper(Blocks(3), config(decay_rate=1))
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
    (lambda: config(decay_rat=0.5), 'paramwise_cfg has the unknown entry decay_rat: it has .*decay_rate'),
    (without_rate, 'needs optim_wrapper.paramwise_cfg.decay_rate: .* such as 0.6'),
    (without_lr, 'needs optim_wrapper.optimizer.lr'),
])
def test_wrong_settings(cfg, message):
    with pytest.raises(UsageError, match=message):
        build_optim_wrapper(Blocks(2), cfg())


@pytest.mark.parametrize('name', ['backbone', 'encoder'])
def test_a_model_without_blocks(name):
    with pytest.raises(UsageError, match='needs a model with encoder.blocks, and ModuleDict has none: remove'):
        build_optim_wrapper(nn.ModuleDict({name: nn.Linear(1, 1)}), config())
