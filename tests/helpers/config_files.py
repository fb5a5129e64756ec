# Copyright (c) The mmvc contributors. All rights reserved.
"""The configs of the repository and their stages, loaded once."""

import copy
import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmvc.engine import resolve_stage, stage_names

CONFIG_DIR = Path(__file__).parents[2] / 'configs'
NAMES = sorted(
    path.relative_to(CONFIG_DIR).with_suffix('').as_posix() for path in CONFIG_DIR.glob('*/*.py')
    if path.parent.name not in ('_base_', 'challenge'))  # a challenge config is no model's
STAGES = ('segmenter', 'online', 'offline')
#: methods with an image and a video stage
ENCODER_ONLY = ('videomt', 'pmt', 'lvmt')
#: what a runner reads of a config; the rest are variables of the files
RUNNER_KEYS = (*inspect.signature(Runner.__init__).parameters, 'model_wrapper_cfg', 'runner_type', 'strategy',
               'sync_bn')


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
    """A config as it is written, e.g. ``load('minvis/minvis_r50_ovis')``, or that of a stage.

    A stage is named as in ``load('mvc/dvispp_r50_ovis_online')``. The caller may change what is returned.
    """
    if name in NAMES:
        return copy.deepcopy(_load_all()[name])
    file, stage = name.rsplit('_', 1)
    return resolve_stage(_load_all()[file], stage)


def is_encoder_only(name: str) -> bool:
    """Whether a config describes VidEoMT, PMT or LVMT."""
    return parts_of(name)[1] in ENCODER_ONLY


def stage_of(name: str) -> str:
    """``segmenter``, ``online`` or ``offline``; what configs/minvis/ trains is a segmenter."""
    stage = name.rsplit('_', 1)[-1]
    return stage if stage in STAGES else 'segmenter'


def parts_of(name: str) -> tuple[str, str, str, str]:
    """``('mvc', 'dvispp', 'vitl', 'vspw')`` of ``mvc/dvispp_vitl_vspw_online``."""
    folder, file = name.split('/')
    return (folder, *file.split('_')[:3])


def baseline_of(name: str) -> str:
    """The baseline that a stage of configs/mvc/ changes."""
    _, method, backbone, dataset = parts_of(name)
    if method == 'dvis' and stage_of(name) == 'segmenter':
        return f'minvis/minvis_{backbone}_{dataset}'
    return f'{method}/{name.split("/")[1]}'


def train_pipeline_of(cfg: Config) -> list[ConfigDict]:
    """The pipeline that clips pass through in training; of several datasets, that of the first."""
    dataset = cfg.train_dataloader.dataset
    return dataset.get('pipeline') or dataset.datasets[0].pipeline


def leaves(value, path: str = '') -> Iterator[tuple[str, object]]:
    """The entries of a nested dict, with dotted paths. Lists are entries."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves(item, f'{path}.{key}' if path else key)
    else:
        yield path, value


def differences(one: Config, other: Config) -> set[str]:
    """Dotted paths of what differs for a runner."""
    ours, theirs = (dict(leaves({key: cfg[key] for key in RUNNER_KEYS if key in cfg})) for cfg in (one, other))
    return {key for key in {*ours, *theirs} if key not in ours or key not in theirs or ours[key] != theirs[key]}


ENCODER_ONLY_NAMES = [name for name in NAMES if is_encoder_only(name)]
ENCODER_ONLY_STAGES = [f'{name}_{stage}' for name in ENCODER_ONLY_NAMES for stage in STAGES[:2]]
# The lists below hold MinVIS, DVIS and DVIS++.
DVIS_NAMES = [name for name in NAMES if not is_encoder_only(name)]
STAGED_NAMES = [name for name in DVIS_NAMES if stage_names(_load_all()[name])]
STAGE_NAMES = sorted(
    {*DVIS_NAMES} - {*STAGED_NAMES} | {f'{name}_{stage}' for name in STAGED_NAMES for stage in STAGES})
TRAINVAL_NAMES = [name for name in STAGE_NAMES if '_trainval' in name]
#: those of another task than their baseline are examples, not experiments
EXAMPLE_NAMES = [name for name in STAGE_NAMES if re.search('_(synthetic|camvid)_v|_davis_', name)]
MVC_NAMES = [name for name in STAGE_NAMES if name.startswith('mvc/') and name not in TRAINVAL_NAMES + EXAMPLE_NAMES]
SMALL_BACKBONES = ('r18', 'efflite0')
FULL_SIZE = [name for name in STAGE_NAMES if parts_of(name)[2] not in SMALL_BACKBONES and name not in TRAINVAL_NAMES]
