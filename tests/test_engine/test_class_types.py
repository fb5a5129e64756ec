# Copyright (c) The mmvc contributors. All rights reserved.
import mmcv.transforms
import mmengine.optim
import pytest
import torch

import mmvc.registry
from mmvc.engine import enable_amp, read_config
from mmvc.evaluation import VSSMetric
from mmvc.registry import OPTIMIZERS

CONFIG = """
from mmcv.transforms import TransformBroadcaster
from mmengine.dataset import ConcatDataset, default_collate
from mmengine.optim import OptimWrapper
from torch.optim import AdamW
from mmvc.datasets import VSPWDataset
from mmvc.evaluation import VSSMetric
class Own: ...
val_dataloader = dict(
    collate_fn=dict(type=default_collate),
    dataset=dict(type=ConcatDataset, datasets=[
        dict(type=VSPWDataset, pipeline=[dict(type=TransformBroadcaster, transforms=[dict(type='Resize')])])]))
val_evaluator = [dict(type=VSSMetric)]
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=AdamW))
hook = dict(type=Own)
"""


def test_classes_become_names_that_lead_to_them(tmp_path):
    path = tmp_path / 'lazy.py'
    path.write_text(CONFIG)
    cfg = read_config(str(path))
    dataset = cfg.val_dataloader.dataset
    assert cfg.val_evaluator[0].type == 'mmvc.VSSMetric'
    assert dataset.type == 'mmengine.ConcatDataset' and dataset.datasets[0].type == 'mmvc.VSPWDataset'
    assert cfg.val_dataloader.collate_fn.type == 'mmengine.default_collate'
    assert [t.type for t in dataset.datasets[0].pipeline] == ['mmengine.TransformBroadcaster']
    assert mmvc.registry.METRICS.get(cfg.val_evaluator[0].type) is VSSMetric
    assert mmvc.registry.TRANSFORMS.get('mmengine.TransformBroadcaster') is mmcv.transforms.TransformBroadcaster
    assert OPTIMIZERS.get(cfg.optim_wrapper.optimizer.type) is torch.optim.AdamW
    assert isinstance(cfg.hook.type, type)  # no name leads to it
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'


@pytest.mark.parametrize('kind', ['OptimWrapper', 'mmengine.OptimWrapper', mmengine.optim.OptimWrapper])
def test_amp_takes_every_way_to_write_the_type(kind):
    cfg = mmengine.Config(dict(optim_wrapper=dict(type=kind)))
    enable_amp(cfg)
    assert cfg.optim_wrapper.loss_scale == 'dynamic'
