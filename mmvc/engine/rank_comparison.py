# Copyright (c) The mmvc contributors. All rights reserved.
"""Comparison of what the ranks of a distributed run are to do: with different settings their models would differ."""

import os
import platform
import re
import socket
import sys
import zlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import all_gather_object, is_distributed

from mmvc.utils.errors import UsageError
from mmvc.zoo import HOME_VARIABLE, cache_folder

_PACKAGES = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation')
_FOLDERS = ('data_root', 'work_dir')  # may be others on each machine
_VARIABLES = 'MMVC_'  # prefix of the environment variables of this package
_MISSING = 'not set'
_SHOWN = 5  # entries in a message


def require_same_settings(cfg: Config) -> None:
    """Raise an error on every rank if the ranks differ in config, options of the command line, code or versions.

    Folders of data, results and published weights may differ, since machines may have them in different places. Does
    nothing without a process group.

    Args:
        cfg (Config): The resolved config of this rank.

    Raises:
        UsageError: They differ. The message names the entries, and their values on two ranks.
    """
    if not is_distributed():
        return
    ranks = all_gather_object((socket.gethostname(), _settings(cfg)))
    first_host, first = ranks[0]
    for rank, (host, settings) in enumerate(ranks[1:], 1):
        differing = [key for key in sorted({**first, **settings}) if first.get(key) != settings.get(key)]
        if differing:
            entries = '; '.join(f'{key} is {first.get(key, _MISSING)} on rank 0 and {settings.get(key, _MISSING)} on '
                                f'rank {rank}' for key in differing[:_SHOWN])
            more = f'; and {len(differing) - _SHOWN} more entries' if len(differing) > _SHOWN else ''
            raise UsageError(f'rank 0 (machine "{first_host}") and rank {rank} ("{host}") have different settings: '
                             f'{entries}{more}. Start all ranks with the same command, code and packages')


def _settings(cfg: Config) -> dict[str, str]:
    """Settings by name, as text."""
    settings = {'version of Python': '.'.join(platform.python_version_tuple()[:2]), 'code of mmvc': _code_checksum(),
                'options of the command line': ' '.join(sorted(_options(sys.argv[1:])))}
    settings.update({f'environment variable {name}': repr(value) for name, value in os.environ.items()
                     if name.startswith(_VARIABLES) and name != HOME_VARIABLE})
    for package in _PACKAGES:
        try:
            settings[f'version of {package}'] = version(package)
        except PackageNotFoundError:
            settings[f'version of {package}'] = 'not installed'
    folders = {str(cfg[key]).rstrip('/'): f'<{key}>' for key in _FOLDERS if cfg.get(key)}
    folders[str(cache_folder())] = '<published weights>'
    _flatten(cfg.to_dict(), '', folders, settings)
    for key in _FOLDERS:
        settings.pop(key, None)
    return settings


def _flatten(value: Any, key: str, folders: dict[str, str], settings: dict[str, str]) -> None:
    """Add the entries of a config by their dotted keys."""
    if isinstance(value, (dict, list, tuple)) and value:
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            _flatten(item, f'{key}.{name}' if key else str(name), folders, settings)
        return
    if isinstance(value, str):
        for folder, name in folders.items():
            if value == folder or value.startswith(f'{folder}/'):
                value = name + value[len(folder):]
    settings[key] = re.sub(r' at 0x[0-9a-f]+', '', repr(value))


def _options(arguments: list[str]) -> set[str]:
    """Names of the options, without their values: those are in the config, or are folders of a machine."""
    names = {argument.partition('=')[0] for argument in arguments if argument.startswith('--')}
    return names - {'--local-rank', '--local_rank'}


@cache
def _code_checksum() -> str:
    root = Path(__file__).parents[1]
    checksum = 0
    for path in sorted(root.rglob('*.py')):
        checksum = zlib.crc32(path.read_bytes(), zlib.crc32(path.relative_to(root).as_posix().encode(), checksum))
    return f'{checksum:08x}'
