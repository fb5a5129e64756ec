# Copyright (c) The mmvc contributors. All rights reserved.
"""Gradient accumulation: train with the batch size of many GPUs on few GPUs."""

from mmengine.config import Config, ConfigDict

from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name

#: entries of a config that mmengine counts in iterations (unless it counts in epochs)
_LOOP_KEYS = ('max_iters', 'val_interval', 'val_begin')
_SCHEDULER_KEYS = ('begin', 'end', 'milestones', 'T_max', 'step_size', 'total_iters', 'total_steps', 'warmup_iters',
                   'encoder_warmup_iters')
_HOOK_KEYS = ('interval', 'save_begin', 'begin_iter')


def accumulate_gradients(cfg: Config, count: int) -> None:
    """Sum the gradients of several iterations before the weights are updated.

    The schedule keeps its length in updates: everything that is counted in iterations is multiplied by ``count``. So
    guided assignment ends at the same update, and the learning rate drops at the same update. The loss of an iteration
    is divided by ``count`` and by the iteration's own number of masks. This equals the loss of the whole batch if all
    iterations have the same number of masks, and approximates it otherwise.

    Args:
        cfg (Config): Changed in place. ``train_dataloader.batch_size`` is kept: it is the batch size of one iteration.
        count (int): Iterations per update.

    Raises:
        UsageError: ``count`` is not positive, or the config accumulates gradients already.
    """
    if count < 1:
        raise UsageError(f'--accumulate must be a number of iterations, at least 1; found {count}')
    if count == 1:
        return
    if cfg.optim_wrapper.get('accumulative_counts', 1) != 1:
        raise UsageError(f'--accumulate: optim_wrapper.accumulative_counts of the config is '
                         f'{cfg.optim_wrapper.accumulative_counts} already: remove it there, or drop --accumulate')
    cfg.optim_wrapper.accumulative_counts = count
    if 'max_iters' in cfg.train_cfg:
        _multiply(cfg.train_cfg, _LOOP_KEYS, count)
        if cfg.train_cfg.get('dynamic_intervals'):
            cfg.train_cfg.dynamic_intervals = [tuple(count * n for n in pair)
                                               for pair in cfg.train_cfg.dynamic_intervals]
    schedulers = cfg.get('param_scheduler') or []
    for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
        if not scheduler.get('by_epoch', True):
            _multiply(scheduler, _SCHEDULER_KEYS, count)
    hooks = cfg.get('default_hooks') or {}
    for hook in [hooks.get('checkpoint'), hooks.get('logger'), *(cfg.get('custom_hooks') or [])]:
        if not hook:
            continue
        if type_name(hook) == 'EMAHook':  # averages weights once per update
            hook.setdefault('interval', 1)
        if not hook.get('by_epoch', hook is hooks.get('checkpoint')):
            _multiply(hook, _HOOK_KEYS, count)


def _multiply(cfg: ConfigDict, keys: tuple, count: int) -> None:
    for key in keys:
        value = cfg.get(key)
        if isinstance(value, (list, tuple)):
            cfg[key] = [item * count for item in value]
        elif value is not None:
            cfg[key] = value * count
