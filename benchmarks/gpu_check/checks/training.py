# Copyright (c) The mmvc contributors. All rights reserved.
"""Time and memory of a training step of every stage, in full and in mixed precision."""

import statistics

import torch
from mmengine.config import Config

from benchmarks.training import STAGES, build_row, peak_mb, random_clips, timed

from ..models import Model, model_config
from ..recorder import Recorder, Settings

CONFIGS = dict(r50='dvispp/dvispp_r50_vspw', vitl='dvispp/dvispp_vitl_vspw')
#: size of the frames; clips and frames are those of the config, or as given
CLIPS = dict(full=dict(size=(480, 864)), toy=dict(size=(64, 96), clips=1, frames=2))
STEPS = dict(full=6, toy=2)
WARM_UP = 2


def run(recorder: Recorder, settings: Settings, model: str) -> None:
    """Measure every stage of a model."""
    for stage in STAGES:
        cfg = model_config(Model(CONFIGS[model], stage), settings)
        for amp in (False, True) if settings.device == 'cuda' else (False, ):  # mmengine has AMP only for GPUs
            name = f'{stage}, {"AMP (bf16)" if amp else "fp32"}'
            recorder.attempt(name, measure, recorder, stage, cfg, amp, settings, seconds=8.)
            if settings.device == 'cuda':
                torch.cuda.empty_cache()  # what a training that did not fit has left
    if settings.device != 'cuda':
        recorder.skip('AMP: needs CUDA')


def measure(recorder: Recorder, stage: str, cfg: Config, amp: bool, settings: Settings) -> None:
    """Add a row for a stage in one precision."""
    kind = CLIPS[settings.size]
    loader = cfg.train_dataloader
    num_clips = kind.get('clips', loader.batch_size)
    num_frames = kind.get('frames') or next(
        step.num_frames for step in loader.dataset.pipeline if 'num_frames' in step)
    clips = random_clips(cfg, kind['size'], num_clips, num_frames)
    row = build_row(stage, cfg, settings.device, amp=amp)
    seconds = []
    for turn in range(-WARM_UP, STEPS[settings.size]):
        wall, _ = timed(row, clips, turn + WARM_UP, settings.device)
        if turn >= 0:
            seconds.append(wall)
        if len(seconds) >= 2 and recorder.seconds_left() < 3 * wall:
            break
    height, width = kind['size']
    recorder.row(stage=stage, precision='AMP (bf16)' if amp else 'fp32',
                 clips=f'{num_clips} x {num_frames} x {height} x {width}', steps=len(seconds),
                 **{'median ms': f'{1000 * statistics.median(seconds):.0f}',
                    'peak MB': f'{peak_mb(row, clips, settings.device):.0f}'})
