# Copyright (c) The mmvc contributors. All rights reserved.
"""What decides the weights that a training makes: its settings, as data that can be stored and compared."""

from typing import Any

from mmengine.config import Config

from mmvc.utils.type_names import type_name

# The parts of a config that a training depends on, and what in them only tests, or only changes the speed.
_PARTS = ('model', 'data_preprocessor', 'train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler',
          'auto_scale_lr', 'custom_hooks', 'randomness', 'sync_bn')
_IGNORED = ('model.postprocessor', 'model.test_cfg', 'model.window_size', 'model.feature_store',
            'train_cfg.val_interval', 'train_cfg.val_begin', 'train_cfg.dynamic_intervals', 'randomness.deterministic')
_SPEED = ('num_workers', 'prefetch_factor', 'pin_memory', 'persistent_workers', 'timeout', 'worker_init_fn',
          'multiprocessing_context')
_ABSENT = 'not set'
_MAX_LISTED = 8
_MAX_LENGTH = 80


def training_settings(cfg: Config) -> dict[str, Any]:
    """List the entries of a config that decide the weights.

    Where data, logs and checkpoints are is not among them, nor what only validates, tests, logs or loads faster.

    Args:
        cfg (Config): Config of a training, before a runner is built from it.

    Returns:
        dict[str, Any]: Values that JSON has, by keys like ``optim_wrapper.optimizer.lr`` and ``custom_hooks.0.type``.
    """
    settings: dict[str, Any] = {}
    root = str(cfg.get('data_root') or '').rstrip('/')
    for key in _PARTS:
        _flatten(key, cfg.get(key), root, settings)
    return settings


def _flatten(key: str, value: Any, root: str, into: dict[str, Any]) -> None:
    if key in _IGNORED or key.rsplit('.', 1)[-1] in _SPEED or value is None:
        return
    if isinstance(value, dict):
        for name, item in value.items():
            _flatten(f'{key}.{name}', item, root, into)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _flatten(f'{key}.{index}', item, root, into)
    elif isinstance(value, str):
        inside = root and (value.rstrip('/') == root or value.startswith(f'{root}/'))
        into[key] = f'<data_root>{value[len(root):].rstrip("/")}' if inside else value
    elif isinstance(value, (bool, int, float)):
        into[key] = value
    else:
        into[key] = type_name(value) if isinstance(value, type) else str(value)


def changed_settings(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compare settings.

    Args:
        old (dict[str, Any]): See :func:`training_settings`.
        new (dict[str, Any]): The same of another config.

    Returns:
        dict[str, tuple]: Old and new value by key, of all that differ; ``'not set'`` stands for a missing one.
    """
    keys = [*old, *(key for key in new if key not in old)]
    pairs = {key: (old.get(key, _ABSENT), new.get(key, _ABSENT)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def describe_changes(changes: dict[str, tuple[Any, Any]]) -> str:
    """Say what changed: ``key = new (was old)``, for the first eight keys.

    Args:
        changes (dict[str, tuple]): See :func:`changed_settings`.
    """
    shown = [f'{key} = {_short(new)} (was {_short(old)})' for key, (old, new) in list(changes.items())[:_MAX_LISTED]]
    more = f' and {len(changes) - _MAX_LISTED} more' if len(changes) > _MAX_LISTED else ''
    return ', '.join(shown) + more


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _MAX_LENGTH else f'{text[:_MAX_LENGTH - 3]}...'
