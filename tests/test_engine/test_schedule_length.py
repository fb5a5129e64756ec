# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
from mmengine.config import Config

from mmvc.engine import load_config
from mmvc.engine.schedule_length import schedule_mismatch

SYNTHETIC = 'configs/mvc/dvispp_r18_synthetic.py'  # 500 iterations, the warm-up of 50 included


def mismatch(schedulers, **train_cfg):
    return schedule_mismatch(Config(dict(train_cfg=train_cfg, param_scheduler=schedulers)))


def test_a_config_whose_length_is_overridden():
    assert schedule_mismatch(load_config(SYNTHETIC)) is None
    message = schedule_mismatch(load_config(SYNTHETIC, {'train_cfg.max_iters': 100}))
    assert message == 'param_scheduler.1 (CosineAnnealingLR) ends at iteration 500, the training at 100 ' \
        '(--cfg-options param_scheduler.1.end=...)'
    longer = schedule_mismatch(load_config(SYNTHETIC, {'train_cfg.max_iters': 700}))
    assert 'param_scheduler.1' in longer and 'param_scheduler.0' not in longer, 'a warm-up may end early'
    options = {'train_cfg.max_iters': 100, 'param_scheduler.1.end': 100}
    assert schedule_mismatch(load_config(SYNTHETIC, options)) is None


@pytest.mark.parametrize('scheduler, fits', [
    (dict(type='MultiStepLR', milestones=[7], by_epoch=False), True),
    (dict(type='MultiStepLR', milestones=[7, 11], by_epoch=False), False),
    (dict(type='PolyLR', by_epoch=False), True),  # to the end of the training, whatever that is
    (dict(type='PolyLR', end=9, by_epoch=False), False),
    (dict(type='LinearLR', end=3, by_epoch=False), True),
    (dict(type='ConstantLR', end=30, by_epoch=True), True),  # the training counts no epochs
])
def test_a_single_scheduler(scheduler, fits):
    assert (mismatch(scheduler, max_iters=10) is None) == (mismatch([scheduler], max_iters=10) is None) == fits


def test_milestones_are_named():
    assert '--cfg-options param_scheduler.milestones=...' in mismatch(
        dict(type='MultiStepLR', milestones=[11], by_epoch=False), max_iters=10)


def test_a_training_in_epochs():
    assert mismatch([dict(type='CosineAnnealingLR', end=5)], max_epochs=5) is None
    assert 'ends at epoch 8, the training at 5' in mismatch([dict(type='CosineAnnealingLR', end=8)], max_epochs=5)


def test_nothing_is_said_without_schedulers():
    assert mismatch(None, max_iters=10) is None and schedule_mismatch(Config(dict(model=1))) is None
