# Copyright (c) The mmvc contributors. All rights reserved.
"""The config in a checkpoint: read as data, and used only if it cannot make the package run other code."""

import contextlib
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import mmengine.registry
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.model import BaseModel
from mmengine.registry import Registry
from torch.utils.data import Dataset

from mmvc.engine import resolve_stage
from mmvc.utils.checkpoint_loading import checkpoints_are_trusted
from mmvc.utils.errors import CheckpointError, UsageError
from mmvc.utils.literal_config import config_text, parse_config_text

# the parts of a config that an inferencer uses
_PARTS = ('default_scope', 'model', 'test_dataloader', 'val_dataloader')
_SCOPES = ('mmengine', 'mmcv', 'mmvc', *MODULE2PACKAGE)
# mmengine runs code in such files, wherever a config names one
_CODE_FORMATS = ('py', 'pkl', 'pickle', 'yml', 'yaml')
_RUNS_ARGUMENTS = ('CameraMotionCompensation', )  # mmdet's, which gives a string of its config to eval()
_ADVICE = 'Give a config that you know (--model), or use --trust-checkpoint if you trust the source of the checkpoint'


def config_of_checkpoint(checkpoint: dict, weights: str, stage: str | None = None) -> tuple[Config, str]:
    """Get the config that is stored in a checkpoint. It is not run, unless checkpoints are trusted.

    Args:
        checkpoint (dict): Content of the checkpoint.
        weights (str): Name of the checkpoint in messages.
        stage (str, optional): Stage of the config. Defaults to None: the last stage.

    Returns:
        tuple[Config, str]: The config with the parts that an inferencer uses, and its name in messages.

    Raises:
        UsageError: There is no config in the checkpoint, or it cannot be read.
        CheckpointError: The config could run code: its text is more than data, it imports modules, it names a class
            that is in no registry, or it names a file that may contain code.
    """
    text = config_text(checkpoint)
    if text is None:
        raise UsageError(f'checkpoint "{weights}" carries no config: give one (--model)')
    label = f'the config in checkpoint "{weights}"'
    if checkpoints_are_trusted():
        return resolve_stage(_run(text, label), stage), label
    data = parse_config_text(text, label) if isinstance(text, str) else text
    if data.get('custom_imports'):
        raise CheckpointError(f'{label} imports modules (custom_imports = {data["custom_imports"]}). {_ADVICE}')
    cfg = resolve_stage(Config(data), stage)
    parts = {name: cfg[name] for name in _PARTS if name in cfg}
    return Config(_checked(Config(parts).to_dict(), label, _scope_of(parts, label))), label


def _run(text: str | dict, label: str) -> Config:
    if isinstance(text, dict):
        return Config(text)
    try:
        cfg = Config.fromstring(text, file_format='.py')
    except Exception as error:  # a config is code, which can raise anything
        raise UsageError(f'{label} cannot be read: {type(error).__name__}: {error}; give one (--model)') from error
    cfg.load_from = None  # the initial weights of that training
    return cfg


def _scope_of(part: dict, label: str, default: str = 'mmvc') -> str:
    """Return the scope that a part of a config sets; mmengine imports the registries of a scope."""
    scope = part.get('_scope_') or part.get('default_scope') or default
    if scope not in _SCOPES:
        raise CheckpointError(f'{label} has the scope {scope!r}, which is none of OpenMMLab. {_ADVICE}')
    return scope


def _checked(value: Any, label: str, scope: str, path: str = '') -> Any:
    """Copy a part of a config after checking it; a class by its path becomes the class by its name in a registry."""
    if isinstance(value, dict):
        scope = _scope_of(value, label, scope)
        if 'sys_path' in value:  # the storage "memcached" imports its client from there
            raise CheckpointError(f'{label} names a folder of modules ({path}.sys_path = {value["sys_path"]!r}). '
                                  f'{_ADVICE}')
        checked = {key: _checked(item, label, scope, f'{path}.{key}' if path else str(key))
                   for key, item in value.items()}
        if isinstance(value.get('type'), str):
            checked['type'] = _registered_name(value['type'], label, f'{path}.type', scope)
        return checked
    if isinstance(value, (list, tuple)):
        return type(value)(_checked(item, label, scope, f'{path}.{index}') for index, item in enumerate(value))
    if isinstance(value, str) and value.lower().rpartition('.')[2] in _CODE_FORMATS:  # mmengine reads "pkl", too
        raise CheckpointError(f'{label} names a file that may contain code ({path} = {value!r}). {_ADVICE}')
    return value


def _registered_name(name: str, label: str, path: str, default_scope: str) -> str:
    """Return the name of a class in a registry, without importing what the config names."""
    found = _find(name, default_scope)
    if found is None:
        raise CheckpointError(f'{label} names the type {name!r} ({path}), which is in no registry. {_ADVICE}')
    registered, key = found
    package = _package(registered)
    is_whole = isinstance(registered, type) and issubclass(registered, (BaseModel, Dataset))
    if key.split('.')[-1] in _RUNS_ARGUMENTS or (is_whole and package != 'mmvc' and package in _SCOPES):
        raise CheckpointError(f'{label} names the type {name!r} ({path}), which may read files that contain code. '
                              f'{_ADVICE}')
    return key


def _find(name: str, default_scope: str) -> tuple[Any, str] | None:
    """Find a registered object by its name, with or without scope, or its path; return it and its registered name."""
    parts = name.split('.')
    last, package = parts[-1], parts[0] if len(parts) > 1 else ''
    is_path = len(parts) > 2 or package not in ('', *_SCOPES)
    for registry in _registries(package if package in _SCOPES else default_scope):
        for key, registered in registry.module_dict.items():
            if is_path and last in (key, getattr(registered, '__name__', None)) and _package(registered) == package:
                return registered, f'{registry.scope}.{key}'
            if not is_path and last == key:
                return registered, f'{registry.scope}.{key}' if package else key
    return None


def _package(registered: Any) -> str:
    return str(getattr(registered, '__module__', '')).split('.')[0]


def _registries(scope: str) -> Iterator[Registry]:
    """Registries in which mmengine finds a name of a scope: those of the scope, then its own."""
    with contextlib.suppress(ImportError):  # that package is not installed, or has no registries
        import_module(f'{scope}.registry')
    roots = [value for value in vars(mmengine.registry).values() if isinstance(value, Registry)]
    children = [root.children[scope] for root in roots if scope in root.children]
    yield from children
    for registry in children:
        registry.import_from_location()
        yield registry
    yield from roots
