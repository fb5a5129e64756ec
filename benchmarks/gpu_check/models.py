# Copyright (c) The mmvc contributors. All rights reserved.
"""Models with random weights, at the size of the published ones or tiny."""

from collections.abc import Iterator
from contextlib import nullcontext
from copy import deepcopy
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor

from benchmarks.inference import generated_frames, spread_scores
from benchmarks.kill_resume import PARTS
from mmvc.engine import load_config
from mmvc.models import BaseVideoSegmentor
from mmvc.registry import MODELS

from .recorder import Settings
from .runner import ROOT


class Model(NamedTuple):
    """A config, and the stage of it that is measured."""

    config: str
    stage: str


MODELS_TO_MEASURE = {
    'r50-online': Model('dvispp/dvispp_r50_vspw', 'online'),
    'r50-offline': Model('dvispp/dvispp_r50_vspw', 'offline'),
    'vitl-online': Model('dvispp/dvispp_vitl_vspw', 'online'),
    'vitl-offline': Model('dvispp/dvispp_vitl_vspw', 'offline'),
    'videomt': Model('videomt/videomt_vitl_dinov2_vspw', 'online'),
    'pmt': Model('pmt/pmt_vitl_dinov3_vspw', 'online'),
    'lvmt': Model('lvmt/lvmt_vitl_dinov3_vspw', 'online'),
}
FRAME_SIZES = dict(full=((480, 864), (720, 1280)), toy=((64, 96), ))
PRECISIONS = dict(fp32=None, fp16=torch.float16, bf16=torch.bfloat16)

_POINTS = dict(criterion=dict(num_points=64), matcher=dict(num_points=64))
_TINY_VIT = dict(_delete_=True, embed_dims=32, depth=5, num_heads=2)  # in place of a name


def model_config(model: Model, settings: Settings, **options: object) -> Config:
    """Load the config of a model's stage, with overrides; its model is shrunk if the size is ``toy``."""
    MMLogger.get_current_instance().setLevel('ERROR')  # hides a line for each parameter
    init_default_scope('mmvc')
    cfg = load_config(str(ROOT / f'configs/{model.config}.py'), options, stage=model.stage)
    if settings.size == 'toy':
        shrink(cfg)
    return cfg


def shrink(cfg: Config) -> None:
    """Make the model of a config tiny: the same classes with few channels, layers, queries and points."""
    model = cfg.model
    if model.type == 'EncoderOnlySegmentor':
        changes = dict(num_queries=12, encoder=dict(arch=_TINY_VIT, position_grid=4), **_POINTS,
                       decoder=dict(levels=(0, 1, 3, 4)) if model.decoder.type == 'LateralDecoder' else
                       dict(num_blocks=2))
    else:
        changes = {name: dict(sizes) for name, sizes in PARTS.items() if name in model}
        if model.backbone.type == 'DINOv2ViTAdapter':
            changes['backbone'] = dict(
                arch=dict(_TINY_VIT, depth=4), spatial_channels=8, pretrained_grid=4, norm_cfg=dict(type='BN'))
            changes['head'] = dict(changes['head'], in_channels=[32] * 4)
        else:
            changes['head'] = dict(changes['head'], in_channels=[32, 64, 128, 256])  # bottlenecks of 8 channels
    cfg.merge_from_dict(dict(model=deepcopy(changes)))  # mmengine takes `_delete_` out of what it merges


def build_for_inference(model: Model, settings: Settings) -> BaseVideoSegmentor:
    """Build a model in evaluation mode, always with the same random weights."""
    cfg = model_config(model, settings)
    torch.manual_seed(0)
    built = MODELS.build(cfg.model)  # init_weights() would take time, and read pretrained weights
    spread_scores(built)
    return built.to(settings.device).eval()


def frames_of(size: tuple[int, int], count: int) -> list[Tensor]:
    """Generated frames in host memory, uint8 (1, 3, H, W) each: windows of one frame, as a camera gives them."""
    return [frame[None] for frame in generated_frames(count, *size)]


def half_precision(settings: Settings, precision: str) -> torch.autocast | nullcontext:
    """Autocast to a key of ``PRECISIONS``, as the inferencer does."""
    dtype = PRECISIONS[precision]
    return nullcontext() if dtype is None else torch.autocast(settings.device, dtype=dtype)


def labels_of(model: BaseVideoSegmentor, frames: list[Tensor], size: tuple[int, int]) -> Iterator[Tensor]:
    """Label maps (H, W) of a stream, in host memory."""
    for sample in model.stream(iter(frames), size):
        yield sample.pred_sem_seg.sem_seg[0]
