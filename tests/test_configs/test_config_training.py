# Copyright (c) The mmvc contributors. All rights reserved.
"""One training step of the configs' stages, at reduced size, with the configs' optimizers."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import set_random_seed
from torch import nn

from tests.helpers.config_files import FULL_SIZE, STAGES, load, parts_of, stage_of
from tests.helpers.tiny_configs import build, make_batch, shrink

TRAINED = dict(segmenter=('backbone', 'head'), online=('tracker', ), offline=('refiner', ))
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
FAMILIES = [f'{backbone}_{dataset}' for dataset in ('vspw', 'vipseg', 'ovis')
            for backbone in ('r50', 'swinl', 'vitl') if dataset == 'ovis' or backbone != 'swinl']
FAST = [f'mvc/dvispp_{name}_{stage}' for name in FAMILIES for stage in STAGES]
FAST += [f'dvispp/dvispp_r50_vspw_{stage}' for stage in STAGES]
FAST += ['minvis/minvis_r50_ovis', 'dvis/dvis_r50_ovis_online', 'dvis/dvis_r50_ovis_offline']
CASES = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in FULL_SIZE]


def prepare(name: str) -> tuple:
    """Config, tiny model, and optimizer without mixed precision (a matter of GPUs)."""
    set_random_seed(0)
    cfg = load(name)
    model = build(shrink(cfg.model))
    model.init_weights()
    cfg.optim_wrapper.type = 'OptimWrapper'
    return cfg, model, build_optim_wrapper(model, cfg.optim_wrapper)


@pytest.mark.parametrize('name', CASES)
def test_training_step(name):
    cfg, model, optim_wrapper = prepare(name)
    before = {key: value.clone() for key, value in model.named_parameters()}
    model.train()
    losses = model(**model.data_preprocessor(make_batch(cfg), training=True), mode='loss')
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total), losses
    optim_wrapper.backward(total)

    _, method, _, dataset = parts_of(name)
    stage = stage_of(name)
    contrastive = method == 'dvispp' and not (dataset == 'vipseg' and stage != 'segmenter' or
                                              dataset == 'ovis' and stage == 'offline')
    assert ('loss_reid' in losses) == contrastive
    assert ('loss_aux_reid' in losses) == (contrastive and stage == 'segmenter')

    for key, parameter in model.named_parameters():
        if parameter.requires_grad:  # distributed training stops at one that takes no part
            assert parameter.grad is not None, key
        else:
            assert parameter.grad is None, key
    optim_wrapper.step()
    moved = {key.split('.')[0] for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert moved == set(TRAINED[stage])


@pytest.mark.parametrize('backbone', ['r50', 'swinl', 'vitl'])
def test_learning_rates_and_weight_decay(on_meta, backbone):
    """A tenth of the rate for the backbone; no decay for norms and embeddings, those of the backbone included."""
    cfg = load(f'dvispp/dvispp_{backbone}_ovis_segmenter')
    model = build(cfg.model)
    cfg.optim_wrapper.type = 'OptimWrapper'
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    groups = {id(group['params'][0]): group for group in optim_wrapper.optimizer.param_groups}
    embeddings = ('query_embed', 'query_feat', 'level_embed', 'level_encoding', 'relative_position_bias_table')
    seen = set()
    for prefix, module in model.named_modules():
        for key, parameter in module.named_parameters(prefix, recurse=False):
            if not parameter.requires_grad:
                assert id(parameter) not in groups, key
                continue
            undecayed = isinstance(module, NORMS) or any(name in key for name in embeddings)
            group = groups[id(parameter)]
            assert group['weight_decay'] == (0 if undecayed else 0.05), key
            assert group['lr'] == pytest.approx(5e-6 if key.startswith('backbone.') else 5e-5), key
            seen.add(undecayed)
    assert seen == {False, True}
