# Copyright (c) The mmvc contributors. All rights reserved.
"""Changing entries of a config by dotted keys that may enter a list by the type of its item."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmvc.utils.errors import UsageError


def apply_overrides(cfg: Config, overrides: Mapping[str, Any], source: str) -> None:
    """Change entries of a config.

    Keys are those of ``--cfg-options``; in addition, an item of a list can be named by its ``type`` instead of its
    position: ``train_dataloader.dataset.pipeline.TubeMask.prob``. A dict is merged into the one that is there.

    Args:
        cfg (Config): Changed in place.
        overrides (Mapping[str, Any]): Key -> value.
        source (str): Where they come from, for errors.

    Raises:
        UsageError: If a key does not fit the config.
    """
    for key, value in overrides.items():
        try:
            cfg.merge_from_dict({_with_positions(cfg, key): value})
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UsageError(f'{source}: "{key}" does not fit config "{cfg.filename}": {error}') from error


def _with_positions(cfg: Config, key: str) -> str:
    """Replace types by positions in a key, as far as the config has what it names."""
    parts: list[str] = []
    here: Any = cfg
    for part in key.split('.'):
        if isinstance(here, (list, tuple)) and not part.isdigit():
            found = [i for i, item in enumerate(here) if isinstance(item, dict) and _type_of(item) == part]
            if len(found) != 1:
                types = ', '.join(_type_of(item) for item in here if isinstance(item, dict))
                raise KeyError(f'{len(found)} items of type {part} in the list "{".".join(parts)}" ({types})')
            part = str(found[0])
        parts.append(part)
        if isinstance(here, (list, tuple)):
            here = here[int(part)]
        else:
            here = here.get(part) if hasattr(here, 'get') else None
    return '.'.join(parts)


def _type_of(item: dict) -> str:
    """Name of an item's type, without the scope."""
    return str(item.get('type', '')).rsplit('.', 1)[-1]


def fingerprint(*parts: Any) -> str:
    """Return a short name that differs whenever the content does.

    Args:
        parts (Any): Nested dicts, lists, numbers and strings; of anything else, how it prints.

    Returns:
        str: 8 hexadecimal digits.
    """
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
