# Copyright (c) The mmvc contributors. All rights reserved.
"""The configs of the repository, loaded once."""

import copy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from mmengine.config import Config

CONFIG_DIR = Path(__file__).parents[2] / 'configs'
NAMES = sorted(
    path.relative_to(CONFIG_DIR).with_suffix('').as_posix() for path in CONFIG_DIR.glob('*/*.py')
    if path.parent.name not in ('_base_', 'challenge'))  # a challenge config is no model's
STAGES = ('segmenter', 'online', 'offline')


@lru_cache(maxsize=None)
def _load_all() -> dict[str, Config]:
    """Load all configs, each base file once."""
    read, files = Config._file2dict, {}

    def read_once(filename, *args, **kwargs):
        if filename not in files:
            files[filename] = read(filename, *args, **kwargs)
        return copy.deepcopy(files[filename])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, '_file2dict', staticmethod(read_once))
        return {name: Config.fromfile(str(CONFIG_DIR / f'{name}.py')) for name in NAMES}


def load(name: str) -> Config:
    """A config of its own, e.g. ``load('mvc/dvispp_vitl_vspw_online')``."""
    return copy.deepcopy(_load_all()[name])


def stage_of(name: str) -> str:
    """``segmenter``, ``online`` or ``offline``; what configs/minvis/ trains is a segmenter."""
    stage = name.rsplit('_', 1)[-1]
    return stage if stage in STAGES else 'segmenter'


def parts_of(name: str) -> tuple[str, str, str, str]:
    """``('mvc', 'dvispp', 'vitl', 'vspw')`` of ``mvc/dvispp_vitl_vspw_online``."""
    folder, file = name.split('/')
    return (folder, *file.split('_')[:3])


def baseline_of(name: str) -> str:
    """The baseline that a stage config of configs/mvc/ changes."""
    _, method, backbone, dataset = parts_of(name)
    if method == 'dvis' and stage_of(name) == 'segmenter':
        return f'minvis/minvis_{backbone}_{dataset}'
    return f'{method}/{name.split("/")[1]}'


def leaves(value, path: str = '') -> Iterator[tuple[str, object]]:
    """The entries of a nested dict, with dotted paths. Lists are entries."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f'{path}.{key}' if path else key)
    else:
        yield path, value


LIST_NAMES = [name for name in NAMES if '\nstages = [' in (CONFIG_DIR / f'{name}.py').read_text()]
STAGE_NAMES = [name for name in NAMES if name not in LIST_NAMES]
TRAINVAL_NAMES = [name for name in STAGE_NAMES if '_trainval' in name]
MVC_NAMES = [name for name in STAGE_NAMES if name.startswith('mvc/') and name not in TRAINVAL_NAMES]
FULL_SIZE = [name for name in STAGE_NAMES if '_r18_' not in name and name not in TRAINVAL_NAMES]
