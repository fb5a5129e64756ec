# Copyright (c) The mmvc contributors. All rights reserved.
"""Loading a config the way the tools do: with overrides from the command line."""

import importlib.util
import os
import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmvc.registry import RUNNERS
from mmvc.utils.atomic import remove_orphaned_drafts
from mmvc.utils.choices import VIS_BACKENDS
from mmvc.utils.config_names import shipped_hint
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name

from .checkpoints import last_good_checkpoint
from .class_types import name_types
from .config_keys import check_keys, check_options
from .distributed import on_main_process, wrap_for_cpu
from .hooks.adapt_threads_hook import AdaptThreadsHook
from .hooks.check_data_hook import CheckDataHook
from .loaders import guard_loaders
from .rank_comparison import require_same_settings
from .stage_config import PIPELINE_KEYS, resolve_stage, stage_names

_DATA_KEYS = tuple(f'{split}_{part}' for split in ('train', 'val', 'test') for part in ('dataloader', 'evaluator'))
_OPTIONS = 'cfg_options (--cfg-options)'


def read_config(path: str) -> Config:
    """Read a config file and its ``_base_`` files.

    Args:
        path (str): Config file.

    Returns:
        Config: The config; its ``stages``, if it has any, are not merged.

    Raises:
        UsageError: If the file is missing, is not a config, or has a misspelt entry, see :func:`check_keys`.
    """
    if not osp.isfile(path):
        raise UsageError(f'config "{path}" does not exist; correct its path{shipped_hint(path)}')
    try:
        cfg = name_types(Config.fromfile(path))
    except FileNotFoundError as error:  # a file named in _base_
        raise UsageError(f'config "{path}": {error}') from error
    except Exception as error:  # a config is code, which can fail in any way
        raise UsageError(f'config "{path}" cannot be read: {type(error).__name__}: {error}') from error
    check_keys(cfg, f'config "{path}"')
    return cfg


def load_config(path: str,
                cfg_options: dict | None = None,
                data_root: str | None = None,
                stage: str | None = None) -> Config:
    """Load the config of a stage and apply overrides.

    Args:
        path (str): Config file.
        cfg_options (dict, optional): Overrides. A key like ``optim_wrapper.optimizer.lr`` is for all stages, a key
            like ``stages.online.train_cfg.max_iters`` for one stage, where it wins over the former. A new
            ``data_root`` also replaces the old one in all datasets and evaluators. Defaults to None.
        data_root (str, optional): Short for ``cfg_options=dict(data_root=...)``. Defaults to None.
        stage (str, optional): Name of a stage of the config. Defaults to None: the last stage, or the whole config if
            it has no stages.

    Returns:
        Config: The complete config of the stage, see :func:`resolve_stage`.

    Raises:
        UsageError: The file is missing, is not a config, or has no such stage; or ``data_root`` is given and the
            config has none.
    """
    label = f'config "{path}"'
    cfg = read_config(path)
    names = stage_names(cfg)
    for_all, for_stages = _split_options(cfg_options or {}, names, label)
    for name, options in for_stages.items():
        where = f'{_OPTIONS} do not fit {label}, stage "{name}"'
        check_options(resolve_stage(cfg, name), options, where, PIPELINE_KEYS)
        _merge(cfg, {f'stages.{name}.{key}': value for key, value in options.items()}, label)
    if stage is None and names:
        stage = names[-1]
    cfg = resolve_stage(cfg, stage)
    old_root = cfg.get('data_root')
    own = for_stages.get(stage, {})
    if stage is not None:
        label += f', stage "{stage}" (stages.NAME.KEY=VALUE changes one stage alone)'
    merge_options(cfg, {**for_all, **{key: own[key] for key in own if key.split('.')[0] in cfg}}, label)
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


def _split_options(options: dict, names: list[str], label: str) -> tuple[dict, dict[str | None, dict]]:
    """Split overrides into those for all stages and those for one stage, by its name, without the prefix."""
    if not isinstance(options, dict):
        raise UsageError(f'{_OPTIONS} do not fit {label}: they must be a dict, found {options!r}')
    for_all: dict[str, Any] = {}
    for_stages: dict[str | None, dict] = {}
    for key, value in options.items():
        first, _, rest = key.partition('.')
        if first != 'stages':
            for_all[key] = value
            continue
        name, _, rest = rest.partition('.')
        if name not in names or not rest:
            raise UsageError(f'{_OPTIONS} do not fit {label}: "{key}" must be stages.NAME.KEY, and '
                             f'the stages of the config are {", ".join(names) or "none"}')
        for_stages.setdefault(name, {})[rest] = value
    return for_all, for_stages


def merge_options(cfg: Config, cfg_options: dict | None, label: str) -> None:
    """Override entries of a config.

    Args:
        cfg (Config): Changed in place.
        cfg_options (dict, optional): Values by keys like ``optim_wrapper.optimizer.lr``. None changes nothing.
        label (str): Name of the config in messages.

    Raises:
        UsageError: An entry does not fit, or is likely misspelt, see :func:`check_options`.
    """
    if isinstance(cfg_options, dict):
        check_options(cfg, cfg_options, f'{_OPTIONS} do not fit {label}')
    _merge(cfg, cfg_options, label)


def _merge(cfg: Config, cfg_options: dict | None, label: str) -> None:
    try:
        cfg.merge_from_dict(cfg_options or {})
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f'{_OPTIONS} do not fit {label}: {error}') from error


def require_dataloader(cfg: Config, split: str) -> ConfigDict:
    """Return the dataloader of a split.

    Args:
        cfg (Config): Config that was read from a file.
        split (str): ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        UsageError: The config has no such dataloader.
    """
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        raise UsageError(f'config "{cfg.filename}" has no {split}_dataloader: add one, since it defines the '
                         'dataset and its pipeline')
    return loader


def default_work_dir(path: str, stage: str | None = None) -> str:
    """Return the default work dir of a config.

    Args:
        path (str): Config file.
        stage (str, optional): Stage of the config. Defaults to None.

    Returns:
        str: ``work_dirs/<path below the folder "configs">`` without suffix, because two families can have configs of
        one name. For a file outside of such a folder ``work_dirs/<name>``. With a stage, its folder in there.
    """
    *folders, name = osp.splitext(osp.normpath(path))[0].split(osp.sep)
    below = folders[len(folders) - folders[::-1].index('configs'):] if 'configs' in folders else []
    return osp.join('work_dirs', *below, name, *([stage] if stage else []))


def reroot(value: Any, old: str, new: str) -> Any:
    """Replace a folder by another one in all paths of a config.

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
        UsageError: The optimizer wrapper is neither ``OptimWrapper`` nor ``AmpOptimWrapper``.
    """
    kind = type_name(cfg.optim_wrapper) or 'OptimWrapper'
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UsageError(f'--amp needs optim_wrapper.type OptimWrapper, the config has {kind}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the real batch size over ``auto_scale_lr.base_batch_size``.

    Args:
        cfg (Config): Changed in place.

    Raises:
        UsageError: The config does not say for which batch size its learning rate is.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError('--auto-scale-lr needs auto_scale_lr = dict(base_batch_size=...) in the config: the batch '
                         'size that its learning rate is for')
    cfg.auto_scale_lr.enable = True
    # mmengine compares it with the batch of an iteration
    cfg.auto_scale_lr.base_batch_size /= (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)


def enable_deterministic(cfg: Config) -> None:
    """Make every run of a training on the same machine end with the same weights, bit for bit.

    This sets a seed (that of the config, or 0), the deterministic algorithms of torch and cuDNN, and the workspace
    that cuBLAS needs for them. Call it before CUDA is used. An operation without a deterministic form raises an error
    that names it.

    Args:
        cfg (Config): Changed in place.
    """
    os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    randomness = cfg.get('randomness') or {}
    cfg.randomness = dict(randomness, seed=randomness.get('seed') or 0, deterministic=True)
    cfg.env_cfg = dict(cfg.get('env_cfg') or {}, cudnn_benchmark=False)


def enable_backends(cfg: Config, names: Sequence[str]) -> None:
    """Send losses and metrics to more services.

    Args:
        cfg (Config): Its ``visualizer.vis_backends`` are added to. Changed in place.
        names (Sequence[str]): Keys of ``VIS_BACKENDS``.

    Raises:
        UsageError: The package of a service is not installed.
    """
    visualizer = cfg.setdefault('visualizer', ConfigDict(type='VideoSegLocalVisualizer'))
    backends = list(visualizer.get('vis_backends') or [dict(type='LocalVisBackend')])
    for name in names:
        kind, package, module = VIS_BACKENDS[name]
        if importlib.util.find_spec(module) is None:
            raise UsageError(f'--watch {name} needs the package {package}: pip install {package}')
        if kind not in [type_name(backend) for backend in backends]:
            backends.append(dict(type=kind))
    visualizer['vis_backends'] = backends


def _check_counts(cfg: Config) -> None:
    """Raise an error if the config counts iterations or epochs by something that is no whole number from 1."""
    train_cfg = cfg.get('train_cfg') or {}
    for key in ('max_iters', 'max_epochs'):
        _require_count(f'train_cfg.{key}', train_cfg.get(key, 1))
    how = '. For a training without validation set val_cfg, val_dataloader and val_evaluator to None'
    _require_count('train_cfg.val_interval', train_cfg.get('val_interval', 1), how)
    _require_count('train_cfg.val_begin', train_cfg.get('val_begin', 1), lowest=0)
    dynamic = train_cfg.get('dynamic_intervals') or ()
    for pair in dynamic:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise UsageError('train_cfg.dynamic_intervals must be a list of (first iteration, val_interval), found '
                             f'{pair!r} in it')
        _require_count('train_cfg.dynamic_intervals: the first iteration', pair[0], lowest=0)
        _require_count('train_cfg.dynamic_intervals: val_interval', pair[1], how)
    if sorted(dynamic, key=lambda pair: pair[0]) != list(dynamic):
        raise UsageError('train_cfg.dynamic_intervals must be in the order of their first iterations, found '
                         f'{dynamic}')
    hooks = {f'default_hooks.{name}': hook for name, hook in (cfg.get('default_hooks') or {}).items()}
    hooks.update({f'custom_hooks.{index}': hook for index, hook in enumerate(cfg.get('custom_hooks') or ())})
    for name, hook in hooks.items():
        if isinstance(hook, dict) and isinstance(interval := hook.get('interval', 1), (int, float)):
            if name == 'default_hooks.checkpoint':
                if interval != -1:  # mmengine's way to say: only the last one
                    _require_count(f'{name}.interval', interval, '. For a checkpoint of the end alone set it to -1')
            elif interval != -1 or name == 'default_hooks.logger':
                _require_count(f'{name}.interval', interval)
    _require_count('optim_wrapper.accumulative_counts',
                   (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1))


def _require_count(key: str, value: Any, remedy: str = '', lowest: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise UsageError(f'{key} must be a whole number from {lowest}, found {value!r}{remedy}')


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config: mmengine's, or the one that ``runner_type`` names.

    It has a :class:`CheckDataHook` and an :class:`AdaptThreadsHook`.

    Args:
        cfg (Config): With ``work_dir``, and ``launcher`` if there are several processes.

    Returns:
        Runner: The runner.

    Raises:
        UsageError: A number of iterations or epochs is not a whole number, or the ranks have different settings.
    """
    _check_counts(cfg)
    if cfg.get('resume') and not cfg.get('load_from'):  # otherwise mmengine takes any file that last_checkpoint names
        cfg.load_from = on_main_process(lambda: last_good_checkpoint(cfg.work_dir))
        cfg.resume = cfg.load_from is not None
    require_same_settings(cfg)
    if is_main_process():
        remove_orphaned_drafts(cfg.work_dir)
    wrap_for_cpu(cfg)
    if isinstance(visualizer := cfg.get('visualizer'), dict):
        # mmengine keeps one visualizer per name, for good: without a name, each run gets its own
        cfg.visualizer = ConfigDict({key: value for key, value in visualizer.items() if key != 'name'})
    runner = RUNNERS.build(cfg)
    guard_loaders(runner)
    runner.register_hook(CheckDataHook())
    runner.register_hook(AdaptThreadsHook())
    return runner
