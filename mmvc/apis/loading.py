# Copyright (c) The mmvc contributors. All rights reserved.
"""Loads a model from a config and a checkpoint, and checks that they fit each other."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmdet.visualization.palette import get_palette
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader

from mmvc.engine import (
    load_config,
    merge_options,
    mismatch_hint,
    read_config,
    require_checkpoint,
    resolve_stage,
    stage_names,
    weight_mismatches,
)
from mmvc.models import BaseVideoSegmentor
from mmvc.models.utils import FeatureStore
from mmvc.registry import DATASETS, MODELS
from mmvc.utils.arguments import check_number
from mmvc.utils.checkpoint_loading import plain_name
from mmvc.utils.config_names import find_config
from mmvc.utils.dataset_configs import innermost_dataset
from mmvc.utils.errors import UsageError
from mmvc.utils.type_names import type_name
from mmvc.zoo import find_weights, find_weights_of, resolve_checkpoint, shipped_models

from .checkpoint_config import config_of_checkpoint

_MAX_LINES = 20


def load_model(model: str | Path | Config | ConfigDict | dict | None,
               weights: str | None = None,
               device: str | torch.device = 'cpu',
               cfg_options: dict | None = None,
               stage: str | None = None) -> tuple[BaseVideoSegmentor, Config, dict]:
    """Build a model in evaluation mode and load its weights, all of them or none.

    Args:
        model (str | Path | Config | dict, optional): Config, or its path or name, see :func:`find_config`. None: the
            config that is stored in the checkpoint.
        weights (str, optional): Checkpoint file, name of published weights or address, see
            :func:`mmvc.zoo.resolve_checkpoint`. Defaults to None: the published weights of the model, if it is given
            by its name and has some; else ``load_from`` of the config. Without any, the weights are random, and a
            warning is logged.
        device (str | torch.device): Defaults to 'cpu'.
        cfg_options (dict, optional): Overrides of the config, with keys such as ``model.feature_store.dtype``.
            Defaults to None.
        stage (str, optional): Stage of the config that the weights are of. Defaults to None: the last stage.

    Returns:
        tuple[BaseVideoSegmentor, Config, dict]: Model, config, and ``dict(classes, palette)`` of its training set.

    Raises:
        CheckpointError: The config in the checkpoint could run code.
        UsageError: The config or checkpoint cannot be read, they do not fit each other (the weights that differ are
            listed), or the classes are not known.
    """
    weights = chosen_weights(model, weights, cfg_options, stage)
    if model is None and weights is not None and (published := find_weights(str(weights))) and published.config:
        model = published.name
    checkpoint = None if weights is None else _load_checkpoint(weights)
    cfg, label = _config(model, checkpoint, weights, cfg_options, stage)
    path = weights or cfg.get('load_from')
    if checkpoint is None and path:
        checkpoint = _load_checkpoint(path)
    if not isinstance(cfg.get('model'), dict):
        raise UsageError(f'{label} has no "model": use the config of a model')
    scope = cfg.get('default_scope') or 'mmvc'
    with DefaultScope.overwrite_default_scope(scope):
        _check_model(cfg.model, label)
        built = MODELS.build(cfg.model)
        if not isinstance(built, BaseVideoSegmentor):
            raise UsageError(f'{label} describes a {type(built).__name__}, which does not segment videos: use a '
                             'config whose model is MinVIS, DVISOnline or DVISOffline')
    if checkpoint is None:
        print_log(f'{label} has no weights: the weights and the predictions of the model are RANDOM. Give a '
                  'checkpoint (--weights)', logger='current', level=30)
    else:
        _load_weights(built, checkpoint, path, label)  # before the classes, since its error is more precise
    with DefaultScope.overwrite_default_scope(scope):
        meta = dataset_meta(cfg, checkpoint or {}, built.num_classes, label)
    return built.to(device).eval(), cfg, meta


def _config(model: str | Path | Config | ConfigDict | dict | None, checkpoint: dict | None,
            weights: str | None, cfg_options: dict | None, stage: str | None) -> tuple[Config, str]:
    if isinstance(model, (str, Path)):
        path, named = find_config(str(model))
        if stage is not None and named not in (None, stage):
            raise UsageError(f'"{model}" names the stage {named}, and stage (--stage) says {stage}: drop one of them')
        return load_config(str(path), cfg_options, stage=stage or named), f'config "{path}"'
    if model is None:
        if checkpoint is None:
            raise UsageError('no config is given: give a model (--model; "mmvc models" lists those with published '
                             f'weights), or a checkpoint that contains its config (--weights){_first_models()}')
        cfg, label = config_of_checkpoint(checkpoint, str(weights), stage)
        merge_options(cfg, cfg_options, label)
        return cfg, label
    if isinstance(model, Config):
        cfg, label = model, 'the config'
    elif isinstance(model, dict):
        cfg, label = Config(dict(model)), 'the config'
    else:
        raise UsageError(f'model must be a config, its path or its name, got {type(model).__name__}')
    cfg = resolve_stage(cfg, stage)
    merge_options(cfg, cfg_options, label)
    return cfg, label


def _first_models() -> str:
    """A sentence about the models that need no network, with a full stop before it; empty if there are none."""
    models = [f'{weights.name} (trained on {weights.data})' for weights in shipped_models()]
    return f'. Without a network: {" or ".join(models)}' if models else ''


def _check_model(model: dict, label: str) -> None:
    """Raise an error for values that would make the model fail at the first video."""
    check_number(f'model.window_size of {label}', model.get('window_size', 1), 1, whole=True)
    try:
        FeatureStore(**(model.get('feature_store') or {}))
    except (TypeError, ValueError) as error:
        raise UsageError(f'model.feature_store of {label} cannot be used: {error}') from error


def chosen_weights(model: Any, weights: str | None = None, cfg_options: dict | None = None,
                   stage: str | None = None) -> str | None:
    """Find out which weights :func:`load_model` takes; arguments as there.

    Returns:
        str | None: ``weights``, or the name of the weights that are published for a model that is given by its name.
        None if there are neither: then ``load_from`` of the config counts.
    """
    if weights is not None or 'load_from' in (cfg_options or {}) or not isinstance(model, str) or \
            Path(model).is_file():
        return weights
    published = find_weights(model)
    if published is not None and not published.config:
        raise UsageError(f'"{model}" are weights to start a training from (load_from), and no model that segments '
                         'videos: choose one that "mmvc models" lists with a task')
    config = find_config(model)
    if stage is None and config.stage is None:
        names = stage_names(read_config(str(config.path)))
        stage = names[-1] if names else None
    found = find_weights_of(config.path, stage or config.stage)
    return None if found is None else found.name


def _load_checkpoint(weights: str) -> dict:
    path = resolve_checkpoint(weights)
    if '://' not in path:
        require_checkpoint(path)
    return CheckpointLoader.load_checkpoint(path, map_location='cpu')


def _load_weights(model: BaseVideoSegmentor, checkpoint: dict, weights: str, label: str) -> None:
    state_dict = checkpoint.get('state_dict', checkpoint)
    lines = weight_mismatches(model, state_dict)
    if not lines:
        state_dict = {plain_name(name): value for name, value in state_dict.items()}
        model.load_state_dict(state_dict, strict=False)  # weight_mismatches() has checked the missing keys
        return
    hint = mismatch_hint(lines) or ('it comes from another config or has another number of classes: use the config of '
                                    'its training, or omit the config, if the checkpoint contains it')
    more = [f'... and {len(lines) - _MAX_LINES} more'] if len(lines) > _MAX_LINES else []
    raise UsageError(f'checkpoint "{weights}" does not fit {label}; {hint}. {len(lines)} weights differ:\n  '
                     + '\n  '.join(lines[:_MAX_LINES] + more))


def dataset_meta(cfg: Config, checkpoint: dict, num_classes: int, label: str) -> dict:
    """Find the classes and the palette of a model.

    Args:
        cfg (Config): Config of the model.
        checkpoint (dict): Its checkpoint, whose classes and colours are preferred.
        num_classes (int): Number of classes of the model.
        label (str): Name of the config in messages.

    Returns:
        dict: ``classes`` and ``palette``, tuples of names and RGB colours.

    Raises:
        UsageError: They are not known, or are those of another number of classes.
    """
    given = {key.lower(): value for key, value in (checkpoint.get('meta', {}).get('dataset_meta') or {}).items()}
    origin = 'the checkpoint'
    meta = {key: given[key] for key in ('classes', 'palette') if given.get(key)}
    if 'classes' not in meta or 'palette' not in meta:
        of_config = config_meta(cfg, label)
        if 'classes' not in meta:
            meta, origin = of_config, label
        elif tuple(of_config['classes']) == tuple(meta['classes']):
            meta['palette'] = of_config['palette']
        else:
            print_log('the checkpoint has no colours for its classes: random colours are used', logger='current',
                      level=30)
            meta['palette'] = get_palette('random', len(meta['classes']))
    if len(meta['classes']) != num_classes:
        raise UsageError(f'{origin} names {len(meta["classes"])} classes, the model of {label} has {num_classes}: '
                         'use the config of the checkpoint, or set model.num_classes to the number of classes of the '
                         'dataset')
    return dict(classes=tuple(meta['classes']), palette=[tuple(color) for color in meta['palette']])


def config_meta(cfg: Config, label: str = 'the config') -> dict:
    """Read the classes and the palette of a config. The data need not be there.

    Args:
        cfg (Config): Config.
        label (str): Name of the config in messages.

    Returns:
        dict: ``classes`` and ``palette``.

    Raises:
        UsageError: The config does not list them.
    """
    dataset = copy.deepcopy(test_dataset(cfg, label))
    dataset.update(lazy_init=True, pipeline=[])
    try:
        meta = DATASETS.build(dataset).metainfo
    except (OSError, ValueError) as error:
        raise UsageError(f'neither {label} nor the checkpoint lists the classes: {error}') from error
    return dict(classes=meta['classes'], palette=meta['palette'])


def test_dataset(cfg: Config, label: str = 'the config') -> ConfigDict:
    """Get the config of the test dataset, without wrappers.

    Args:
        cfg (Config): Config.
        label (str): Name of the config in messages.

    Returns:
        ConfigDict: The dataset with its pipeline.

    Raises:
        UsageError: The config has no test dataset.
    """
    outermost = (cfg.get('test_dataloader') or cfg.get('val_dataloader') or {}).get('dataset')
    dataset = innermost_dataset(outermost or {})
    if dataset.get('pipeline') is None:
        raise UsageError(f'{label} has no test_dataloader with a dataset and its pipeline: add one, since it defines '
                         'the classes and the size of the frames')
    return dataset


def frame_transforms(cfg: Config) -> tuple[ConfigDict, list[ConfigDict]]:
    """Split the test pipeline of a config into the loading of a frame and the transforms after it.

    Args:
        cfg (Config): Config.

    Returns:
        tuple[ConfigDict, list[ConfigDict]]: The transform that loads a frame, and the pipeline without sampling and
        loading.

    Raises:
        UsageError: The pipeline does not load frames.
    """
    loaders = []

    def without_loading(transforms: list[ConfigDict]) -> list[ConfigDict]:
        kept = []
        for transform in transforms:
            name = type_name(transform)
            if name in ('LoadFrameFromFile', 'LoadImageFromFile'):
                loaders.append(transform)
            elif not name.startswith(('Load', 'Sample')):
                if 'transforms' in transform:
                    transform = ConfigDict(transform, transforms=without_loading(transform['transforms']))
                    if not transform.transforms:
                        continue
                kept.append(transform)
        return kept

    kept = without_loading(copy.deepcopy(list(test_dataset(cfg).pipeline)))
    if not loaders:
        raise UsageError('the test pipeline of the config has no LoadFrameFromFile: add it, since the inferencer '
                         'puts the frames in its place')
    return loaders[0], kept
