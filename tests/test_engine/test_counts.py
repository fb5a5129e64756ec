# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
from mmengine.config import Config

from mmvc.engine import build_runner
from mmvc.utils.errors import UsageError


@pytest.mark.parametrize('cfg, message', [
    (dict(train_cfg=dict(max_iters=0)), 'train_cfg.max_iters must be a whole number from 1, found 0'),
    (dict(train_cfg=dict(max_iters=1e3)), 'train_cfg.max_iters must be a whole number from 1, found 1000.0'),
    (dict(train_cfg=dict(max_iters=2, val_interval=0)), 'val_interval .* found 0. For a training without validation'),
    (dict(train_cfg=dict(max_epochs=2, val_interval=-1)), 'val_interval must be a whole number from 1, found -1'),
    (dict(train_cfg=dict(max_iters=2, val_begin=-5)), 'val_begin must be a whole number from 0, found -5'),
    (dict(train_cfg=dict(max_iters=2, dynamic_intervals=[(0, 0)])), 'dynamic_intervals: val_interval must be'),
    (dict(train_cfg=dict(max_iters=2, dynamic_intervals=[(9, 1), (2, 3)])), 'in the order of their first iterations'),
    (dict(train_cfg=dict(max_iters=2, val_interval=2.5)), 'val_interval must be a whole number from 1, found 2.5'),
    (dict(train_cfg=dict(max_iters=True)), 'max_iters must be a whole number from 1, found True'),
    (dict(train_cfg=dict(max_iters=2, dynamic_intervals=[5])), r'list of \(first iteration, val_interval\), found 5'),
    (dict(default_hooks=dict(logger=dict(interval=0))), 'default_hooks.logger.interval must be .*, found 0'),
    (dict(default_hooks=dict(checkpoint=dict(interval=0))), 'default_hooks.checkpoint.interval .* set it to -1'),
    (dict(custom_hooks=[dict(type='EMAHook', interval=0)]), 'custom_hooks.0.interval must be'),
    (dict(optim_wrapper=dict(accumulative_counts=0)), 'optim_wrapper.accumulative_counts must be'),
])
def test_a_count_that_is_none_is_an_error_in_words(cfg, message):
    with pytest.raises(UsageError, match=message):
        build_runner(Config(cfg))
