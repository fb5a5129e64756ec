# Copyright (c) The mmvc contributors. All rights reserved.
"""Training steps in half precision with a gradient scaler: losses are finite, the scale falls and rises."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import nn

from benchmarks.training import MAX_ITERS, Row, build_row, random_clips

from ..models import Model, model_config
from ..recorder import Recorder, Settings, Skipped

STAGES = (('segmenter', 'dvispp/dvispp_r50_vspw'), ('online', 'dvispp/dvispp_r50_vspw'),
          ('offline', 'dvispp/dvispp_r50_vspw'), ('online', 'videomt/videomt_vitl_dinov2_vspw'))
DTYPES = ('float16', 'bfloat16')
CLIPS = dict(full=((360, 640), 1, 3), toy=((64, 96), 1, 2))  # size, clips, frames
GROWTH_INTERVAL = 3  # steps without an overflow after which the scale is doubled
NEEDED, MOST = GROWTH_INTERVAL + 1, 16  # steps that must update the weights, and steps to try at most


def run(recorder: Recorder, settings: Settings) -> None:
    """Train every stage in every precision."""
    for stage, config in STAGES:
        cfg = model_config(Model(config, stage), settings)
        size, num_clips, num_frames = CLIPS[settings.size]
        clips = random_clips(cfg, size, num_clips, num_frames)
        for dtype in DTYPES:
            name = f'{config.split("/")[1]}, {stage}, {dtype}'
            recorder.attempt(name, check_training, recorder, name, cfg, dtype, clips, settings.device, seconds=5.)


def check_training(recorder: Recorder, name: str, cfg: Config, dtype: str, clips: list[dict], device: str) -> None:
    """Train a model in one precision."""
    check_steps(recorder, name, build_amp_row(name, cfg, dtype, device), clips)


def build_amp_row(name: str, cfg: Config, dtype: str, device: str) -> Row:
    """Build a model and the config's optimizer with autocast and a scaler whose scale soon grows."""
    if dtype == 'bfloat16' and device == 'cuda' and not torch.cuda.is_bf16_supported():
        raise Skipped('this GPU has no bfloat16')
    row = build_row(name, cfg, device)
    optim_cfg = cfg.optim_wrapper.copy()
    optim_cfg.update(type=AmpOptimWrapper if device == 'cuda' else CPUAmpOptimWrapper, dtype=dtype,
                     loss_scale=dict(init_scale=2.**16, growth_interval=GROWTH_INTERVAL))
    row.optimizer = build_optim_wrapper(row.model, optim_cfg)
    return row


def check_steps(recorder: Recorder, name: str, row: Row, clips: list[dict]) -> None:
    """Train until enough steps have updated the weights, and compare each with what the scaler should do."""
    scaler = row.optimizer.loss_scaler
    trained = [p for p in row.model.parameters() if p.requires_grad]
    scales, losses, taken = [scaler.get_scale()], [], []
    while sum(taken) < NEEDED and len(taken) < MOST:
        before = [p.detach().clone() for p in trained]
        # in turns with and without guidance by the frozen parts
        logs = row.step(clips, (len(taken) % 2) * (MAX_ITERS - 1))
        losses.append(float(sum(value for key, value in logs.items() if key == 'loss')))
        scales.append(scaler.get_scale())
        taken.append(any(not torch.equal(p, old) for p, old in zip(trained, before)))
    good = [recorder.require(all(map(_is_finite, losses)), f'{name}: a loss is not finite: {losses}'),
            recorder.require(all(bool(p.isfinite().all()) for p in trained), f'{name}: weights are not finite'),
            recorder.require(sum(taken) >= NEEDED, f'{name}: only {sum(taken)} of {len(taken)} steps updated the '
                             f'weights, at scales {scales}'),
            recorder.require(scales == expected_scales(scales[0], taken), f'{name}: scales are {scales}, but should '
                             f'be {expected_scales(scales[0], taken)}')]
    recorder.row(training=name, steps=len(taken), skipped=len(taken) - sum(taken), loss=f'{losses[-1]:.2f}',
                 scale=f'{scales[0]:.0f} -> {scales[-1]:.0f}', good='yes' if all(good) else 'no')


def expected_scales(first: float, taken: Sequence[bool]) -> list[float]:
    """Scales before and after each step: halved if it was skipped, doubled after a row of steps that were taken."""
    scales, in_a_row = [first], 0
    for step in taken:
        in_a_row = in_a_row + 1 if step else 0
        scales.append(scales[-1] * (0.5 if not step else 2 if in_a_row == GROWTH_INTERVAL else 1))
        in_a_row %= GROWTH_INTERVAL
    return scales


def _is_finite(value: float) -> bool:
    return value - value == 0


class CPUAmpOptimWrapper(AmpOptimWrapper):
    """mmengine's wrapper on a CPU, on which mmengine does not build it: the same steps with a scaler of the CPU.

    Args:
        dtype (str): Precision of autocast.
        loss_scale (dict): Arguments of the scaler.
        **kwargs: Arguments of :class:`mmengine.optim.OptimWrapper`.
    """

    def __init__(self, dtype: str, loss_scale: dict, **kwargs: Any) -> None:
        OptimWrapper.__init__(self, **kwargs)
        if not hasattr(torch.amp, 'GradScaler'):
            raise Skipped(f'torch {torch.__version__} scales losses on CUDA only')
        self.loss_scaler = torch.amp.GradScaler('cpu', **loss_scale)
        self._scale_update_param = None
        self.cast_dtype = getattr(torch, dtype)

    def optim_context(self, model: nn.Module) -> AbstractContextManager:
        """Autocast of torch; mmengine's has no float16 on CPUs."""
        return torch.autocast('cpu', dtype=self.cast_dtype)
