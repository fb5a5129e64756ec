# Copyright (c) The mmvc contributors. All rights reserved.
"""Finds the configs of mmvc by name, in a source tree or an installed package."""

import argparse
import difflib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .errors import UsageError
from .shipped_files import PACKAGE, find_shipped

METAFILE = 'metafile.yml'


class ShippedConfig(NamedTuple):
    """A config of mmvc, or a stage of one.

    Args:
        path (Path): File.
        stage (str, optional): Name of the stage. Defaults to None: the last stage.
    """
    path: Path
    stage: str | None = None


def config_files() -> dict[str, ShippedConfig]:
    """Find the configs of mmvc, in a source tree or an installed package.

    Returns:
        dict[str, ShippedConfig]: Configs by name. The names are ``<family>/<config>`` without suffix, the same with
        ``_<stage>``, and those in the metafiles.

    Raises:
        UsageError: No configs are installed.
    """
    folder = find_shipped('configs')
    if folder is None:
        raise UsageError(f'no configs are installed beside "{PACKAGE}": install mmvc again, or give the path of a '
                         'config file')
    files = [file for file in sorted(folder.rglob('*.py')) if '_base_' not in file.parts]
    named = {file.relative_to(folder).with_suffix('').as_posix(): ShippedConfig(file) for file in files}
    for model in read_models():
        config = ShippedConfig(folder.parent / model['Config'], model.get('Stage'))
        if config.stage is not None:
            file = config.path.relative_to(folder).with_suffix('').as_posix()
            named.setdefault(f'{file}_{config.stage}', config)
        named.setdefault(model['Name'], config)
    return named


def read_models(file_name: str = METAFILE) -> list[dict[str, Any]]:
    """Read the models of all metafiles of the shipped configs, in the order of their files.

    Args:
        file_name (str): Name of the files to read. Defaults to ``'metafile.yml'``.

    Returns:
        list[dict]: Entries of ``Models``; empty if no configs are shipped.
    """
    folder = find_shipped('configs')
    return [] if folder is None else list(_read(folder, file_name))


@cache
def _read(folder: Path, file_name: str) -> tuple[dict[str, Any], ...]:
    return tuple(model for file in sorted(folder.rglob(file_name))
                 for model in yaml.safe_load(file.read_text(encoding='utf-8'))['Models'])


def find_config(name: str) -> ShippedConfig:
    """Find a config by path or name.

    Args:
        name (str): Path of a config, or the name of a config of mmvc: ``mvc/dvispp_r50_vspw``, the same with a stage
            (``mvc/dvispp_r50_vspw_online``), the name in its metafile (``mvc_dvispp_r50_vspw_online``), or the last
            part of such a name, if that is unique.

    Returns:
        ShippedConfig: The file, and the stage if the name says it.

    Raises:
        UsageError: There is no such config (close matches are listed), or there are several.
    """
    if Path(name).is_file():
        return ShippedConfig(Path(name))
    if name.endswith('.py') and len(Path(name).parts) > 1 and Path(name).parent.is_dir():
        raise UsageError(f'config "{name}" does not exist; correct its path{shipped_hint(name)}')
    files = config_files()
    wanted = name[:-3] if name.endswith('.py') else name
    found = [key for key in files if key == wanted] or [key for key in files if key.split('/')[-1] == wanted]
    if len(found) == 1:
        return files[found[0]]
    if found:
        raise UsageError(f'there are {len(found)} configs called "{name}": choose {" or ".join(found)}')
    names = [key for key in files if '/' in key]
    short = {key.split('/')[-1]: key for key in names}
    # names in metafiles, among them those with published weights
    models = [key for key, config in files.items() if '/' not in key + wanted and config.stage]
    close = [*difflib.get_close_matches(wanted, models, n=2, cutoff=0.8),
             *difflib.get_close_matches(wanted, names, n=5), *difflib.get_close_matches(wanted, short, n=5)]
    close = list(dict.fromkeys(key if key in models else short.get(key, key) for key in close))[:7]
    hint = f'did you mean {", ".join(close)}?' if close else f'they are in "{find_shipped("configs")}"'
    raise UsageError(f'"{name}" is neither a config file nor the name of a config of mmvc; {hint}')


def shipped_hint(path: str) -> str:
    """What to give instead of a path that holds only in a source tree, as the examples of commands show it.

    Args:
        path (str): Path of a config that does not exist, such as ``configs/mvc/dvispp_r50_vspw.py``.

    Returns:
        str: A part of a sentence that begins with a comma; empty if mmvc has no config of this family and name.
    """
    name = '/'.join(Path(path).parts[-2:]).removesuffix('.py')
    is_shipped = '/' in name and find_shipped('configs') is not None and name in config_files()
    return f', or give the config of mmvc by its name: {name}' if is_shipped else ''


def config_argument(text: str) -> str:
    """Read a config from the command line, for ``add_argument(type=config_argument)``.

    Args:
        text (str): Path, or the name of a config of mmvc, see :func:`find_config`.

    Returns:
        str: The path. Paths are not checked, so that the tool reports a missing file as it reports other errors.

    Raises:
        argparse.ArgumentTypeError: There is no config of that name, or the name is that of a stage.
    """
    if text.endswith('.py') or Path(text).exists():
        return text
    try:
        found = find_config(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if found.stage is not None:
        raise argparse.ArgumentTypeError(f'"{text}" is a stage of a config: give the config "{found.path}" and '
                                         f'--stage {found.stage}')
    return str(found.path)
