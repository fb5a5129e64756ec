# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from mmvc.engine import accumulate_gradients, enable_auto_scale_lr
from mmvc.utils.errors import UsageError


def config(**changes) -> Config:
    return Config(dict(dict(
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0)),
        train_cfg=dict(type='ResumableTrainLoop', max_iters=8, val_interval=4, dynamic_intervals=[(4, 1)]),
        param_scheduler=[dict(type='MultiStepLR', milestones=[3, 5], gamma=0.1, by_epoch=False),
                         dict(type='CosineAnnealingLR', T_max=8, by_epoch=False)],
        default_hooks=dict(checkpoint=dict(type='AtomicCheckpointHook', by_epoch=False, interval=2),
                           logger=dict(type='LoggerHook', interval=10), timer=dict(type='IterTimerHook')),
        custom_hooks=[dict(type='EMAHook', begin_iter=2), dict(type='SyncBuffersHook')],
        auto_scale_lr=dict(base_batch_size=8)), **changes))


def learning_rates(cfg, scheduler):
    """The rate of every update."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    wrapper = OptimWrapper(optimizer, accumulative_counts=cfg.optim_wrapper.get('accumulative_counts', 1))
    wrapper.initialize_count_status(torch.nn.Identity(), 0, cfg.train_cfg.max_iters)
    scheduler = PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer))
    rates = []
    for _ in range(cfg.train_cfg.max_iters):
        wrapper._inner_count += 1
        if wrapper.should_update():
            rates.append(optimizer.param_groups[0]['lr'])
        scheduler.step()
    return rates


def test_the_schedule_stays_in_updates():
    plain, accumulated = config(), config()
    accumulate_gradients(accumulated, 4)
    for index, tolerance in ((0, 1e-6), (1, 0.2)):  # a curve goes on within an update
        rates = [learning_rates(cfg, cfg.param_scheduler[index]) for cfg in (plain, accumulated)]
        assert len(rates[0]) == 8 and rates[1] == pytest.approx(rates[0], abs=tolerance)
    assert accumulated.train_cfg.to_dict() == dict(type='ResumableTrainLoop', max_iters=32, val_interval=16,
                                                   dynamic_intervals=[(16, 4)])
    hooks = accumulated.default_hooks
    assert (hooks.checkpoint.interval, hooks.logger.interval) == (8, 40)
    assert accumulated.custom_hooks[0].to_dict() == dict(type='EMAHook', begin_iter=8, interval=4)
    assert accumulated.custom_hooks[1].to_dict() == dict(type='SyncBuffersHook')


def test_epochs_stay_epochs():
    cfg = config(train_cfg=dict(by_epoch=True, max_epochs=8, val_interval=4),
                 param_scheduler=dict(type='MultiStepLR', milestones=[3, 5], by_epoch=True),
                 default_hooks=dict(checkpoint=dict(type='AtomicCheckpointHook', interval=2)))
    accumulate_gradients(cfg, 4)
    assert cfg.train_cfg.max_epochs == 8 and cfg.train_cfg.val_interval == 4
    assert cfg.param_scheduler.milestones == [3, 5] and cfg.default_hooks.checkpoint.interval == 2
    assert cfg.optim_wrapper.accumulative_counts == 4


def test_the_learning_rate_is_scaled_by_the_whole_batch():
    """mmengine divides processes x batch_size by the base: 4 processes of one clip that accumulate twice are 8."""
    cfg = config()
    accumulate_gradients(cfg, 2)
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.to_dict() == dict(base_batch_size=4, enable=True)


def test_refused():
    with pytest.raises(UsageError, match='at least 1; found 0'):
        accumulate_gradients(config(), 0)
    cfg = config(optim_wrapper=dict(type='OptimWrapper', accumulative_counts=2))
    accumulate_gradients(cfg, 1)
    with pytest.raises(UsageError, match='is 2 already'):
        accumulate_gradients(cfg, 2)
