# Copyright (c) The mmvc contributors. All rights reserved.
"""Exports of models so small that they are traced within seconds."""

import copy
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config

from mmvc.apis.portable_config import portable_config
from mmvc.commands import export as command
from mmvc.deployment.exporting import Export, ExportSettings, export_model
from mmvc.models import BaseVideoSegmentor
from tests.helpers import tiny_encoder_only
from tests.helpers.tiny_inference import CLASSES, PALETTE, POSTPROCESSORS, tiny_config
from tests.helpers.tiny_models import build_part, randomize_constants


def graph_config(kind: str, task: str = 'vss') -> Config:
    """Config of ``MinVIS``, ``DVISOnline`` or ``DVISOffline``, or of an encoder-only model (``videomt``, ``lvmt``).

    ``adapter`` is MinVIS with the backbone of DVIS++'s largest models.
    """
    if kind == 'adapter':
        cfg = graph_config('MinVIS', task)
        cfg.model.backbone = dict(
            type='DINOv2ViTAdapter', arch=dict(embed_dims=64, depth=4, num_heads=4), spatial_channels=8,
            pretrained_grid=5)
        cfg.model.head.in_channels = [64] * 4
        return cfg
    if kind in ('MinVIS', 'DVISOnline', 'DVISOffline'):
        cfg = tiny_config(kind, task)
        cfg.model.backbone.update(depth=18)
        cfg.model.head.update(in_channels=[4, 8, 16, 32])
        cfg.model.head.transformer_decoder.num_layers = 1
        for name in ('tracker', 'refiner'):
            if name in cfg.model:
                cfg.model[name].num_layers = 1
        return cfg
    cfg = tiny_config('MinVIS', task)
    model = copy.deepcopy(tiny_encoder_only.KINDS[kind])
    model['encoder'] = dict(model['encoder'], arch=dict(embed_dims=32, depth=2, num_heads=4))
    model['decoder'] = dict(model['decoder'], num_blocks=1)
    if 'levels' in model['decoder']:
        model['decoder']['levels'] = (0, 1)
    cfg.model = dict(model, postprocessor=POSTPROCESSORS[task])
    return cfg


def build(cfg: Config) -> BaseVideoSegmentor:
    """A model with random weights, large enough for maps of several classes."""
    torch.manual_seed(3)
    model = randomize_constants(build_part(cfg.model)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ('cls' in name or 'mask_embed' in name) and parameter.ndim == 2:
                parameter *= 3
    return model


def save(cfg: Config, model: BaseVideoSegmentor, path: Path) -> Path:
    """Write a checkpoint that contains the config."""
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=cfg.pretty_text)), path)
    return path


def export(cfg: Config, model: BaseVideoSegmentor, path: Path, **settings) -> Export:
    """Export a model with all that the command passes."""
    meta = dict(classes=CLASSES, palette=PALETTE)
    return export_model(model, path, 'vss', meta, cfg.model.postprocessor.to_dict(), portable_config(cfg).text,
                        ExportSettings(**settings))


class Exported(NamedTuple):
    """A tiny encoder-only model, and the graph that ``mmvc export`` has written of it."""

    cfg: Config
    model: BaseVideoSegmentor
    checkpoint: Path
    path: Path


def export_by_command(folder: Path, kind: str = 'videomt', *options: str) -> Exported:
    """Write config and checkpoint of a model to a folder, and export it."""
    cfg = graph_config(kind)
    model = build(cfg)
    checkpoint, path = save(cfg, model, folder / 'x.pth'), folder / 'x.onnx'
    cfg.dump(str(folder / 'x.py'))
    command.main([str(folder / 'x.py'), str(checkpoint), '--out', str(path), *options])
    return Exported(cfg, model, checkpoint, path)
