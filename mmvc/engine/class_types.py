# Copyright (c) The mmvc contributors. All rights reserved.
"""Configs in pure Python, whose types are classes, become configs whose types are names.

Names can be written to a file, stored in a checkpoint and compared between processes; classes cannot.
"""

import importlib
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from mmvc import registry as registries


def name_types(cfg: Config) -> Config:
    """Replace classes and functions that are types in a config by their names.

    Args:
        cfg (Config): Changed in place.

    Returns:
        Config: The same config. A class that no name leads to, such as one in the config's own file, stays.
    """
    _name_types(cfg._cfg_dict)
    return cfg


def _name_types(part: Any) -> None:
    if isinstance(part, dict):
        for key in list(part):
            value = part[key]  # a lazy import of mmengine becomes a class here
            if key == 'type' and callable(value):
                part[key] = _name(value)
            else:
                _name_types(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            _name_types(value)


def _name(kind: Any) -> Any:
    """Name of a class or function: its registered one with the scope, or its module and name; else itself."""
    for registry in _all_registries():
        for name, registered in registry._module_dict.items():
            if registered is kind:
                return f'{registry.scope}.{name}'
    module, name = getattr(kind, '__module__', None), getattr(kind, '__qualname__', '')
    try:
        found = getattr(importlib.import_module(module or ''), name, None)
    except (ImportError, ValueError):
        return kind
    return f'{module}.{name}' if found is kind else kind


def _all_registries() -> Iterator[Registry]:
    """All registries of this package and of those that it is based on."""
    for registry in vars(registries).values():
        if isinstance(registry, Registry):
            while registry.parent is not None:
                registry = registry.parent
            yield from _with_children(registry)


def _with_children(registry: Registry) -> Iterator[Registry]:
    yield registry
    for child in registry.children.values():
        yield from _with_children(child)
