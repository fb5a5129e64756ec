# Copyright (c) The mmvc contributors. All rights reserved.
"""Resuming with a config that has changed: the training goes on exactly as the new config asks, or it is refused.

mmengine resumes the optimizer and the schedulers as they are in the checkpoint, so that another learning rate or
another schedule of the config would have no effect.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmvc.utils.errors import CheckpointError, UsageError

from .stage import UNKNOWN
from .training_settings import changed_settings, describe_changes

SETTINGS = 'training_settings'  # entry of meta of a checkpoint: JSON
START = 'start'  # entry of the settings: the weights that the training started from, see start_of
_SEED = 'randomness.seed'
_OPTIMIZATION = ('optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'train_cfg', 'train_dataloader.batch_size',
                 'processes')
# what a scheduler counts and remembers; the rest are its settings
_COUNTS = ('last_step', '_global_step', '_last_value', 'base_values', 'verbose', 'best', 'num_bad_epochs',
           'cooldown_counter', 'is_better', 'rule_map')
_REMEDY = 'undo the change, or start a new training with another --work-dir'


def adapt_to_config(runner: Runner, checkpoint: dict, settings: dict[str, Any]) -> None:
    """Make a checkpoint that is about to be resumed agree with the config.

    If nothing has changed that the optimization depends on, nothing is done, so the training resumes exactly.
    Otherwise the optimizer's state stays, and its settings and the schedule become those that a training with the new
    config would have at this iteration.

    Args:
        runner (Runner): Runner with its optimizer and schedulers as new.
        checkpoint (dict): Checkpoint. Changed in place.
        settings (dict[str, Any]): See :func:`training_settings`, of the config; with ``processes``, their number, and
            ``start``.

    Raises:
        UsageError: The training cannot go on as the config asks.
        CheckpointError: The settings in the checkpoint are damaged.
    """
    changes = None
    checkpoint['meta'].setdefault('epoch', 0)
    stored = _stored_settings(checkpoint['meta'])
    if stored is not None:
        _check_start(stored.pop(START, None), settings.get(START))
        changes = changed_settings(stored, {key: value for key, value in settings.items() if key != START})
        if _SEED in changes and settings.get(_SEED) is not None:
            checkpoint['meta']['seed'] = settings[_SEED]  # mmengine would take the one of the checkpoint
        if changes:
            print_log(f'The config has changed since the checkpoint was saved: {describe_changes(changes)}. The '
                      'training goes on as the config says now', logger='current')
    _check_length(runner, checkpoint['meta'])
    if 'ema_state_dict' in checkpoint and not any(isinstance(hook, EMAHook) for hook in runner.hooks):
        raise UsageError('the checkpoint holds averaged weights of EMAHook, and the config has no EMAHook: the '
                         f'training would go on from the average. Put the hook back into custom_hooks, or {_REMEDY}')
    if changes is not None and not any(key.startswith(_OPTIMIZATION) for key in changes):
        return
    if 'optimizer' not in checkpoint:
        return
    for key, (old, new) in (changes or {}).items():
        if key.startswith('optim_wrapper') and key.endswith('optimizer.type') and _last(old) != _last(new):
            raise UsageError(f'the checkpoint has the state of the optimizer {old}, and {key} of the config is {new}: '
                             f'{_REMEDY}')
    if not isinstance(runner, Runner):
        raise UsageError('another optimizer or schedule cannot be resumed with a training strategy '
                         f'({type(runner).__name__}): {_REMEDY}')
    schedule_changed = changes is None or any(key.startswith('param_scheduler') for key in changes)
    for part in _parts(runner, checkpoint):
        part.adapt(checkpoint['meta'], schedule_changed and changes is not None)
        if changes is None or any(key.startswith('train_cfg') for key in changes):
            part.check_rate(runner, checkpoint['meta'])


def _stored_settings(meta: dict) -> dict[str, Any] | None:
    text = meta.get(SETTINGS)
    if text is None:
        return None
    try:
        return dict(json.loads(text).items())
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = f'{type(error).__name__}: {error}'
        raise CheckpointError(f'meta.{SETTINGS} of the checkpoint is damaged ({reason}): resume from an earlier one '
                              '(remove this one), or train again with --overwrite') from error


def _check_start(old: Any, new: Any) -> None:
    if new is not None and old is not None and UNKNOWN not in (old, new) and old != new:
        raise UsageError('the checkpoint is of a training that started from other weights than the config names now '
                         f'({old} instead of {new}). Start again with --overwrite, or {_REMEDY}')


def _last(name: Any) -> str:
    return str(name).rsplit('.', 1)[-1]


def _check_length(runner: Runner, meta: dict) -> None:
    loop: Any = runner.train_loop
    unit, done = ('epoch', meta['epoch']) if isinstance(loop, EpochBasedTrainLoop) else ('iter', meta['iter'])
    length = loop.max_epochs if unit == 'epoch' else loop.max_iters
    if done > length:
        raise UsageError(f'the checkpoint was saved at {unit} {done}, and train_cfg.max_{unit}s of the config is '
                         f'{length}: set it to {done} or more, or {_REMEDY}')


class _Part:
    """An optimizer and its schedulers, as new and as they are in a checkpoint."""

    def __init__(self, wrapper: Any, state: dict, schedulers: Sequence, saved: list) -> None:
        self.groups = wrapper.param_groups
        base = state.get('base_param_settings')
        self.saved_groups = [*state['param_groups'], *([base] if base is not None else [])]
        self.schedulers, self.saved = schedulers, saved
        sizes = [[len(group['params']) for group in groups] for groups in (wrapper.optimizer.param_groups,
                                                                           state['param_groups'])]
        if sizes[0] != sizes[1]:
            raise UsageError(f'the optimizer of the checkpoint has {sum(sizes[1])} parameters in {len(sizes[1])} '
                             f'groups, that of the config {sum(sizes[0])} in {len(sizes[0])} (does '
                             f'optim_wrapper.paramwise_cfg or the model differ?): {_REMEDY}')
        if _kind(self.groups[0]) != _kind(self.saved_groups[0]):
            raise UsageError('the checkpoint has the state of another optimizer than '
                             f'{type(wrapper.optimizer).__name__}, which the config has: {_REMEDY}')

    def adapt(self, meta: dict, schedule_changed: bool) -> None:
        """Write the settings of the config into the checkpoint, if they differ."""
        scheduled = {scheduler.param_name for scheduler in self.schedulers}
        differs = schedule_changed or len(self.saved) != len(self.schedulers) or any(
            _settings(scheduler.state_dict(), old) != _settings(old, scheduler.state_dict())
            for scheduler, old in zip(self.schedulers, self.saved))
        for new, old in zip(self.groups, self.saved_groups):
            for name in new:
                if name == 'params':
                    continue
                if name in scheduled:
                    differs |= not _same(new.get(f'initial_{name}'), old.get(f'initial_{name}'))
                else:
                    differs |= not _same(new[name], old.get(f'initial_{name}', old.get(name, new[name])))
        if not differs:
            return
        self._replay(meta['iter'], meta['epoch'])
        before = self.saved_groups[-1].get('lr')
        for new, old in zip(self.groups, self.saved_groups):
            old.update({name: value for name, value in new.items() if name != 'params'})
        self.saved[:] = [scheduler.state_dict() for scheduler in self.schedulers]
        after = self.saved_groups[-1].get('lr')
        if before is not None and after is not None:
            print_log(f'Resumed with a learning rate of {float(after):.4g} instead of {float(before):.4g}',
                      logger='current')

    def _replay(self, iterations: int, epochs: int) -> None:
        """Bring new schedulers to where they would be now."""
        if any(hasattr(scheduler, 'num_bad_epochs') for scheduler in self.schedulers):
            raise UsageError('param_scheduler has changed, and ReduceOnPlateau depends on validations of the past: '
                             f'{_REMEDY}')
        by_iter = [scheduler for scheduler in self.schedulers if not scheduler.by_epoch]
        by_epoch = [scheduler for scheduler in self.schedulers if scheduler.by_epoch]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # that the optimizer has not stepped
            for epoch in range(max(epochs, 1)):
                for _ in range(iterations * (epoch + 1) // max(epochs, 1) - iterations * epoch // max(epochs, 1)):
                    for scheduler in by_iter:
                        scheduler.step()
                for scheduler in by_epoch if epochs else ():
                    scheduler.step()

    def check_rate(self, runner: Runner, meta: dict) -> None:
        """Raise an error if the training would go on with a schedule that has ended at a learning rate of 0."""
        rates = [float(group['lr']) for group in self.saved_groups if 'lr' in group]
        loop: Any = runner.train_loop
        unfinished = meta['epoch'] < loop.max_epochs if isinstance(loop, EpochBasedTrainLoop) else \
            meta['iter'] < loop.max_iters
        ends = [scheduler.end for scheduler in self.schedulers]
        ended = all(scheduler.end <= (meta['epoch'] if scheduler.by_epoch else meta['iter'])
                    for scheduler in self.schedulers)
        if unfinished and rates and not any(rates) and ends and ended:
            raise UsageError(f'the training is to go on, but param_scheduler of the config ends at {max(ends)} with a '
                             'learning rate of 0, so nothing would be learned: set its end (and total_iters or T_max) '
                             'to the new length of the training')


def _parts(runner: Runner, checkpoint: dict) -> Iterator[_Part]:
    """The optimizers of a training; most have one."""
    wrapper: Any = runner.optim_wrapper
    state = checkpoint['optimizer']
    schedulers: Any = runner.param_schedulers or []
    saved = checkpoint.setdefault('param_schedulers', {} if isinstance(schedulers, dict) else [])
    several = isinstance(wrapper, OptimWrapperDict)
    if several == ('param_groups' in state) or isinstance(saved, dict) != isinstance(schedulers, dict):
        raise UsageError(f'the checkpoint and the config have another number of optimizers: {_REMEDY}')
    if not several:
        yield _Part(wrapper, state, schedulers, saved)
        return
    if set(wrapper.keys()) != set(state):
        raise UsageError(f'the checkpoint has the optimizers {", ".join(sorted(state))}, the config '
                         f'{", ".join(sorted(wrapper.keys()))}: {_REMEDY}')
    for name, one in wrapper.items():
        yield _Part(one, state[name], schedulers.get(name, []), saved.setdefault(name, []))


def _settings(state: dict, other: dict) -> dict:
    """Settings of a scheduler that the other one has, too; another version of mmengine may have more."""
    return {name: list(value) if isinstance(value, (list, tuple)) else value for name, value in state.items()
            if name in other and name not in _COUNTS and not callable(value)}


def _kind(group: dict) -> str | None:
    """Tell optimizers apart by a setting that only they have: Adam, Adadelta, RMSprop, SGD."""
    return next((name for name in ('betas', 'rho', 'alpha', 'momentum') if name in group), None)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return list(one) == list(other)
    return bool(one == other)
