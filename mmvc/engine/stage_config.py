# Copyright (c) The mmvc contributors. All rights reserved.
"""The stages of a training, described in one config.

The top level of the config describes the last stage, so that any tool of OpenMMLab can use the file. The entry
``stages`` names all stages in the order of training, each with what differs from the top level:

.. code-block:: python

    stages = dict(
        segmenter=dict(
            model=dict(type='MinVIS', _remove_=['tracker', 'refiner']),
            sample_clip=dict(num_frames=4, frame_range=8),
            mask=dict(type='RandomPatchMask', patch_size=32, mask_ratio=0.7)),
        online=dict(...),
        offline=dict())

A stage is merged into the top level as mmengine merges a config into its ``_base_``: dicts are merged, everything else
is replaced, and a dict with ``_delete_=True`` replaces a dict. Four entries have a meaning of their own:

- ``_remove_``, in any dict: names of entries of that dict that the stage does not have;
- ``train_pipeline``: the pipeline of all training datasets;
- ``sample_clip``: the arguments of ``SampleClip`` in all training pipelines;
- ``mask``: a masking transform. In all training pipelines it is put before the transform that packs the inputs, in
  place of a masking transform that is there.
"""

import copy
import os.path as osp
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmvc.utils.errors import UsageError
from mmvc.utils.spelling import did_you_mean
from mmvc.utils.type_names import type_name

from .config_keys import runner_keys

PIPELINE_KEYS = ('train_pipeline', 'sample_clip', 'mask')
_MASKS = ('RandomPatchMask', 'TubeMask')
_DELETE, _REMOVE = '_delete_', '_remove_'


def stage_names(cfg: Config) -> list[str]:
    """Name the stages of a config.

    Args:
        cfg (Config): Config as it is written in its file.

    Returns:
        list[str]: Names in the order of training; empty if the config has no ``stages``.

    Raises:
        UsageError: ``stages`` is not a dict of dicts, a name cannot be that of a folder, or the last stage changes
            the top level.
    """
    stages = _stages(cfg)
    if stages and list(stages.values())[-1]:
        raise UsageError(f'{_label(cfg)}: stages.{list(stages)[-1]} must be dict(), because the last stage is the top '
                         'level of the config: write there what the stage changes. (mmengine sorts the stages when it '
                         'writes a config to a file: use the file that the config was read from)')
    return list(stages)


def _stages(cfg: Config) -> dict:
    """Return the changes of each stage, by name."""
    stages = cfg.get('stages')
    if stages is None:
        return {}
    where = f'{_label(cfg)}: stages'
    if isinstance(stages, (list, tuple)):
        raise UsageError(f'{where} is a list, the form of mmvc 0.1 with a file for each stage. Describe all stages in '
                         'one file: stages = dict(segmenter=dict(...), ...), see docs/en/train_test.md')
    if not isinstance(stages, dict) or not stages:
        raise UsageError(f'{where} must be a dict with an entry for each stage, found {stages!r}')
    for name, patch in stages.items():
        if name in ('', '.', '..') or osp.basename(name) != name:
            raise UsageError(f'{where}: "{name}" is also the name of a folder, so it must be a plain name')
        if not isinstance(patch, dict):
            raise UsageError(f'{where}.{name} must be a dict of what the stage changes in the config, found {patch!r}')
    return stages


def resolve_stage(cfg: Config, name: str | None = None) -> Config:
    """Make the complete config of a stage.

    Args:
        cfg (Config): Config as it is written in its file.
        name (str, optional): Name of the stage. Defaults to None: the last stage, which is the top level of ``cfg``.

    Returns:
        Config: Config of the stage, without ``stages``; a copy.

    Raises:
        UsageError: There is no such stage, or an entry of it does not fit the config.
    """
    names = list(_stages(cfg))
    if name is None or not names:
        if name is not None:
            raise UsageError(f'{_label(cfg)} has no stages: leave out the stage "{name}" (--stage)')
        cfg = copy.deepcopy(cfg)
        cfg.pop('stages', None)
        return cfg
    if name not in names:
        raise UsageError(f'{_label(cfg)} has no stage "{name}"{did_you_mean(name, names)}: its stages are '
                         f'{", ".join(names)}')
    whole = cfg.to_dict()
    patch = whole.pop('stages')[name]
    where = f'{_label(cfg)}: stages.{name}'
    known = {*whole, *runner_keys(), *PIPELINE_KEYS, _REMOVE}
    for key in patch:
        if key not in known:
            raise UsageError(f'{where} has an unknown entry "{key}"{did_you_mean(key, known)}: an entry must be one '
                             'that the config or a runner of mmengine has')
    merged = _merge(whole, {key: value for key, value in patch.items() if key not in PIPELINE_KEYS}, where)
    _apply_pipeline_entries((merged.get('train_dataloader') or {}).get('dataset'), patch, where)
    return Config(merged, cfg_text=cfg.text, filename=cfg.filename)


def _merge(base: dict, patch: dict, where: str) -> dict:
    """Merge a patch into a dict; ``where`` names the patch in errors. The result shares nothing with the patch."""
    merged = dict(base)
    removed = patch.get(_REMOVE, ())
    for name in [removed] if isinstance(removed, str) else removed:
        if name not in merged:
            raise UsageError(f'{where}.{_REMOVE} names "{name}", which is not there{did_you_mean(name, merged)}')
        del merged[name]
    for key, value in patch.items():
        if key in (_DELETE, _REMOVE):
            continue
        old = merged.get(key)
        if not isinstance(value, dict):
            merged[key] = copy.deepcopy(value)
        elif old is None or value.get(_DELETE):
            merged[key] = _merge({}, value, f'{where}.{key}')
        elif isinstance(old, dict):
            merged[key] = _merge(old, value, f'{where}.{key}')
        else:
            raise UsageError(f'{where}.{key} is a dict, but {key} of the config is {old!r}: add {_DELETE}=True to '
                             'the dict to replace it')
    return merged


def _apply_pipeline_entries(dataset: Any, patch: dict, where: str) -> None:
    """Change the training pipelines as ``train_pipeline``, ``sample_clip`` and ``mask`` of a patch say, in place."""
    pipelines = list(_pipelines(dataset))
    if (new := patch.get('train_pipeline')) is not None:
        if not isinstance(new, list) or not pipelines:
            raise UsageError(f'{where}.train_pipeline must be a list of transforms for the pipelines of '
                             f'train_dataloader.dataset, which has {len(pipelines)}; found {new!r}')
        for pipeline in pipelines:
            pipeline[:] = copy.deepcopy(new)
    if (arguments := patch.get('sample_clip')) is not None:
        if not isinstance(arguments, dict) or 'type' in arguments:
            raise UsageError(f'{where}.sample_clip must be a dict of the arguments of SampleClip, found {arguments!r}')
        clips = [transform for pipeline in pipelines for transform in pipeline if type_name(transform) == 'SampleClip']
        if not clips:
            raise UsageError(f'{where}.sample_clip: no pipeline of train_dataloader.dataset has a SampleClip')
        for clip in clips:
            kind = clip['type']
            clip.clear()
            clip.update(type=kind, **arguments)
    if (mask := patch.get('mask')) is not None:
        if not isinstance(mask, dict) or 'type' not in mask:
            raise UsageError(f"{where}.mask must be a masking transform, such as dict(type='TubeMask', patch_size=32, "
                             f'mask_ratio=0.7), found {mask!r}')
        packed = [pipeline for pipeline in pipelines if any(type_name(item).startswith('Pack') for item in pipeline)]
        if not packed:
            raise UsageError(f'{where}.mask: no pipeline of train_dataloader.dataset has a transform that packs the '
                             'inputs, such as PackVideoSegInputs, before which frames are masked')
        for pipeline in packed:
            kept = [item for item in pipeline if type_name(item) not in (*_MASKS, type_name(mask))]
            last = max(i for i, item in enumerate(kept) if type_name(item).startswith('Pack'))
            pipeline[:] = [*kept[:last], dict(mask), *kept[last:]]


def _pipelines(part: Any) -> Iterator[list]:
    """List the pipelines of a dataset and of the datasets in it."""
    if isinstance(part, dict):
        if isinstance(part.get('pipeline'), list):
            yield part['pipeline']
        for key, value in part.items():
            if key != 'pipeline':
                yield from _pipelines(value)
    elif isinstance(part, (list, tuple)):
        for value in part:
            yield from _pipelines(value)


def _label(cfg: Config) -> str:
    """Return the name of a config in errors."""
    return f'config "{cfg.filename}"' if cfg.filename else 'the config'
