# Copyright (c) The mmvc contributors. All rights reserved.
"""Configs of tiny models, with all that an inferencer reads of a config."""

from pathlib import Path

import torch
from mmengine.config import Config

from mmvc.models import BaseVideoSegmentor
from tests.helpers.tiny_models import NUM_CLASSES, STAGES, build_part, randomize_constants

CLASSES = [f'class{index}' for index in range(NUM_CLASSES)]
PALETTE = [[20 * index, 255 - 20 * index, 50] for index in range(NUM_CLASSES)]
POSTPROCESSORS = dict(
    vss=dict(type='VSSPostprocessor'),
    vps=dict(type='VPSPostprocessor', thing_classes=[0, 1, 2, 3, 4], score_threshold=0., overlap_threshold=0.01),
    vis=dict(type='VISPostprocessor', max_per_video=5))


def tiny_config(stage: str = 'MinVIS', task: str = 'vss', scale: tuple = (96, 64)) -> Config:
    """A config whose test pipeline resizes, as those of the benchmarks do."""
    frame_transforms = [dict(type='LoadFrameFromFile'), dict(type='mmdet.Resize', scale=scale, keep_ratio=True)]
    dataset = dict(
        type='BaseVideoSegDataset',
        ann_file='videos.txt',
        data_root='does/not/exist',
        img_suffix='.png',
        metainfo=dict(classes=CLASSES, palette=PALETTE),
        test_mode=True,
        pipeline=[
            dict(type='SampleAllFrames'),
            dict(type='TransformBroadcaster', transforms=frame_transforms),
            dict(type='PackVideoSegInputs'),
        ])
    loader = dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
    return Config(dict(
        default_scope='mmvc',
        model=dict(STAGES[stage], postprocessor=POSTPROCESSORS[task]),
        test_dataloader=loader,
        test_evaluator=dict(type='VSSMetric'),
        test_cfg=dict()))


def vivid_model(cfg: Config) -> BaseVideoSegmentor:
    """Build a model of random weights that are large enough for maps of several classes and segments."""
    torch.manual_seed(dict(MinVIS=1, DVISOnline=2, DVISOffline=1)[cfg.model.type])
    model = randomize_constants(build_part(cfg.model))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ('cls' in name or 'mask_embed' in name) and parameter.ndim == 2:
                parameter *= 4
    return model


def save_tiny_checkpoint(path: Path, task: str = 'vss', stage: str = 'DVISOnline') -> Path:
    """Write a checkpoint of a tiny model, which contains its config; returns its path."""
    cfg = tiny_config(stage, task)
    torch.save(dict(state_dict=vivid_model(cfg).state_dict(), meta=dict(cfg=cfg.pretty_text)), path)
    return path
