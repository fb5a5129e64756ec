# Copyright (c) The mmvc contributors. All rights reserved.
"""Loading a config the way the tools do: with overrides from the command line."""

import os.path as osp
from typing import Any, Optional

from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmvc.registry import RUNNERS

from .distributed import wrap_for_cpu
from .errors import UsageError

_DATA_KEYS = tuple(f'{split}_{part}' for split in ('train', 'val', 'test') for part in ('dataloader', 'evaluator'))


def load_config(path: str, cfg_options: Optional[dict] = None, data_root: Optional[str] = None) -> Config:
    """Load a config and apply overrides.

    Args:
        path (str): Config file.
        cfg_options (dict, optional): Overrides, keys like ``optim_wrapper.optimizer.lr``. A new ``data_root`` replaces
            the old one in every dataset and evaluator, too. Defaults to None.
        data_root (str, optional): Short for ``cfg_options=dict(data_root=...)``. Defaults to None.

    Returns:
        Config: The config.

    Raises:
        UsageError: If the file is missing, is not a config, or names no ``data_root`` that could be replaced.
    """
    if not osp.isfile(path):
        raise UsageError(f'config "{path}" does not exist')
    try:
        cfg = Config.fromfile(path)
    except FileNotFoundError as error:  # a file named in _base_
        raise UsageError(f'config "{path}": {error}') from error
    except OSError as error:  # a suffix that mmengine does not read
        raise UsageError(f'config "{path}" cannot be read: {error}') from error
    old_root = cfg.get('data_root')
    try:
        cfg.merge_from_dict(cfg_options or {})
    except (KeyError, TypeError) as error:
        raise UsageError(f'--cfg-options does not fit config "{path}": {error}') from error
    if data_root is not None:
        cfg.data_root = data_root
    if cfg.get('data_root') != old_root:
        if old_root is None:
            raise UsageError(f'config "{path}" has no top-level data_root to replace by "{cfg.data_root}": override '
                             'the datasets themselves, e.g. --cfg-options train_dataloader.dataset.data_root=...')
        for key in _DATA_KEYS:
            if cfg.get(key) is not None:
                cfg[key] = reroot(cfg[key], old_root, cfg.data_root)
    return cfg


def default_work_dir(path: str) -> str:
    """Where the results of a config go unless said otherwise.

    Args:
        path (str): Config file.

    Returns:
        str: ``work_dirs/<path below the folder "configs">`` without suffix, so that configs of one name in two
        families keep apart; ``work_dirs/<name>`` for a file elsewhere.
    """
    *folders, name = osp.splitext(osp.normpath(path))[0].split(osp.sep)
    below = folders[len(folders) - folders[::-1].index('configs'):] if 'configs' in folders else []
    return osp.join('work_dirs', *below, name)


def reroot(value: Any, old: str, new: str) -> Any:
    """Replace a folder by another in all paths of a config.

    Args:
        value (Any): Part of a config.
        old (str): Folder to replace; a string is replaced if it is this folder or lies in it.
        new (str): Folder to put in its place.

    Returns:
        Any: Copy of ``value`` with the paths replaced.
    """
    if isinstance(value, dict):
        return ConfigDict({key: reroot(item, old, new) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(reroot(item, old, new) for item in value)
    if isinstance(value, str):
        folder = old.rstrip('/')
        if value.rstrip('/') == folder:
            return new
        if value.startswith(f'{folder}/'):
            return osp.join(new, value[len(folder) + 1:])
    return value


def enable_amp(cfg: Config) -> None:
    """Train with automatic mixed precision and dynamic loss scaling.

    Args:
        cfg (Config): Changed in place.

    Raises:
        UsageError: If the optimizer wrapper is one that AMP is not known to replace.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UsageError(f'--amp needs optim_wrapper.type OptimWrapper, the config has {kind}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the real batch size over ``auto_scale_lr.base_batch_size``.

    Args:
        cfg (Config): Changed in place.

    Raises:
        UsageError: If the config does not say which batch size its learning rate is for.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError('--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in the config: the batch '
                         'size that its learning rate is for')
    cfg.auto_scale_lr.enable = True


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config (mmengine's, or the one that ``runner_type`` names).

    Args:
        cfg (Config): With ``work_dir``, and ``launcher`` if there are several processes.

    Returns:
        Runner: The runner.
    """
    wrap_for_cpu(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
