# Copyright (c) The mmvc contributors. All rights reserved.
"""Loads a model that has been exported, and says which backend runs a model."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvc.deployment.description import GraphDescription
from mmvc.deployment.exported_segmentor import ExportedSegmentor
from mmvc.deployment.runtime import OnnxGraph
from mmvc.engine import merge_options
from mmvc.utils.choices import BACKENDS, ONNX_RUNTIME, TORCH
from mmvc.utils.errors import UsageError

from .checkpoint_config import config_of_checkpoint

_CHANGEABLE = ('model.postprocessor', 'model.feature_store', 'model.window_size', 'model.keyframe_interval')


class ExportedModel(NamedTuple):
    """What :func:`load_exported` returns.

    Args:
        model (ExportedSegmentor): The model.
        cfg (Config): What an inferencer reads of its config.
        dataset_meta (dict): ``classes`` and ``palette``.
        size (tuple[int, int], optional): Width and height of the only frames that fit. None: any.
    """
    model: ExportedSegmentor
    cfg: Config
    dataset_meta: dict
    size: tuple[int, int] | None


def find_backend(model: Any, backend: str | None = None) -> str:
    """Find out what runs a model.

    Args:
        model (Any): As for :class:`VideoSegInferencer`.
        backend (str, optional): ``'torch'`` or ``'onnxruntime'``. Defaults to None: ``'onnxruntime'`` for a file
            ``.onnx``, else ``'torch'``.

    Returns:
        str: The backend.

    Raises:
        UsageError: The backend is unknown, or does not run such a model.
    """
    if backend not in (None, *BACKENDS):
        raise UsageError(f'backend must be one of {", ".join(BACKENDS)}, got {backend!r}')
    suffix = Path(model).suffix.lower() if isinstance(model, (str, Path)) else ''
    if suffix == '.pt2':
        raise UsageError(f'"{model}" is a program of torch.export, which torch.export.load() reads: export the model '
                         'with --format onnx to segment videos with it')
    is_graph = suffix == '.onnx'
    if backend == ONNX_RUNTIME and not is_graph:
        raise UsageError(f'backend "{ONNX_RUNTIME}" runs files that end in .onnx, got {model!r}: export the model '
                         'first (mmvc export), or leave out the backend')
    if backend == TORCH and is_graph:
        raise UsageError(f'backend "{TORCH}" runs configs with checkpoints, and "{model}" is an exported graph: leave '
                         'out the backend')
    return ONNX_RUNTIME if is_graph else TORCH


def load_exported(path: str | Path, device: torch.device, cfg_options: dict | None = None,
                  **unused: Any) -> ExportedModel:
    """Load a graph and build what surrounds it.

    Args:
        path (str | Path): File of the graph, with its description beside it.
        device (torch.device): Device.
        cfg_options (dict, optional): Overrides of the config: of the post-processor, the feature store, the window
            size, the interval of keyframes and the test pipeline. Defaults to None.
        **unused: Arguments that are for models of PyTorch; those that are set are refused.

    Returns:
        ExportedModel: Model, config, classes, and the size of its frames.

    Raises:
        UsageError: A file is missing or not one of ours, ONNX Runtime is not installed or cannot load it, or an
            argument is not for a graph.
        CheckpointError: The config in the description could run code.
    """
    for name, value in unused.items():
        if value:
            raise UsageError(f'{name} is for models that PyTorch runs, and "{path}" is a graph with its own weights: '
                             f'leave it out, or give the config and the checkpoint')
    for key in cfg_options or {}:
        if key.split('.')[0] == 'model' and '.'.join(key.split('.')[:2]) not in _CHANGEABLE:
            raise UsageError(f'{key} cannot be changed in a graph, only {", ".join(_CHANGEABLE)}: change it in the '
                             'config and export the model again')
    path = Path(path)
    description = GraphDescription.read(path)
    cfg, label = config_of_checkpoint(dict(meta=dict(cfg=description.config)), str(path))
    merge_options(cfg, cfg_options, label)
    if not isinstance(cfg.get('model'), dict) or 'postprocessor' not in cfg.model:
        raise UsageError(f'{label} has no model with a postprocessor: export the model again')
    settings = {name: cfg.model[name] for name in ('postprocessor', 'data_preprocessor', 'window_size',
                                                   'feature_store', 'keyframe_interval') if name in cfg.model}
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmvc'):
        model = ExportedSegmentor(OnnxGraph(path, device), description, **settings)
    size = description.input.get('size')
    meta = dict(classes=tuple(description.classes), palette=[tuple(color) for color in description.palette])
    return ExportedModel(model.to(device).eval(), cfg, meta, None if size is None else (size[1], size[0]))
