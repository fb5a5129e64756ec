# Copyright (c) The mmvc contributors. All rights reserved.
"""Change entries of a config by dotted keys. In a key, an item of a list can be named by its type."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmvc.engine.config_keys import check_options
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name


def apply_overrides(cfg: Config, overrides: Mapping[str, Any], source: str) -> None:
    """Change entries of a config.

    Keys are those of ``--cfg-options``. In addition, an item of a list can be named by its ``type`` instead of its
    position: ``train_dataloader.dataset.pipeline.TubeMask.prob``. A dict is merged into the existing one.

    Args:
        cfg (Config): Changed in place.
        overrides (Mapping[str, Any]): Key -> value.
        source (str): Where the overrides come from, for errors.

    Raises:
        UsageError: A key does not fit the config.
    """
    for key, value in overrides.items():
        try:
            changes = {_with_positions(cfg, key): value}
            check_options(cfg, changes, f'{source}: "{key}" does not fit config "{cfg.filename}"')
            cfg.merge_from_dict(changes)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UsageError(f'{source}: "{key}" does not fit config "{cfg.filename}": {error}') from error


def _with_positions(cfg: Config, key: str) -> str:
    """Replace types by positions in a key; parts that the config does not have are kept."""
    parts: list[str] = []
    here: Any = cfg
    for part in key.split('.'):
        if isinstance(here, (list, tuple)) and not part.isdigit():
            found = [i for i, item in enumerate(here) if isinstance(item, dict) and type_name(item) == part]
            if len(found) != 1:
                types = ', '.join(type_name(item) for item in here if isinstance(item, dict))
                raise KeyError(f'{len(found)} items of type {part} in the list "{".".join(parts)}" ({types})')
            part = str(found[0])
        parts.append(part)
        if isinstance(here, (list, tuple)):
            here = here[int(part)]
        else:
            here = here.get(part) if hasattr(here, 'get') else None
    return '.'.join(parts)
