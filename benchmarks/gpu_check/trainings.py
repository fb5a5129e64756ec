# Copyright (c) The mmvc contributors. All rights reserved.
"""Short trainings on generated videos, with everything random that a training has, and comparisons of their ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger

from benchmarks.kill_resume import CONFIG, OPTIONS, STAGES, load_tiny, same
from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from mmvc.engine import build_runner, enable_deterministic, load_config, on_device

from .recorder import Settings

#: iterations of a training, and after how many a checkpoint is written from which another one resumes
ITERATIONS = dict(full=(6, 3), toy=(2, 1))
#: what checkpoints must have in common
COMPARED = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'random_state')


@contextmanager
def folder_with_videos() -> Iterator[Path]:
    """A temporary folder with generated videos."""
    with TemporaryDirectory() as folder:
        make_synthetic_dataset(Path(folder) / 'data', SyntheticVideoConfig(size=(64, 96), num_frames=8), num_train=3,
                               num_val=1)
        yield Path(folder)


def training_config(stage: str, folder: Path, settings: Settings, **options: Any) -> Config:
    """Config of a deterministic training of a stage; its model is that of the demo, or a tiny one."""
    max_iters, interval = ITERATIONS[settings.size]
    options = {**OPTIONS, 'train_cfg.max_iters': max_iters, 'train_cfg.val_interval': interval,
               'default_hooks.checkpoint.interval': interval, 'default_hooks.checkpoint.max_keep_ckpts': -1,
               'train_dataloader.num_workers': 0, 'log_level': 'ERROR', **options}
    data_root = folder / 'data/vspw'
    if settings.size == 'toy':
        options['train_cfg.val_interval'] = 10 * max_iters  # a validation takes longer than these steps
        cfg = load_tiny(stage, data_root, options)
    else:
        cfg = load_config(str(CONFIG), {**options, 'data_root': str(data_root)}, stage=stage)
    enable_deterministic(cfg)
    return cfg


def train(cfg: Config, work_dir: Path, device: str, start: Path | None = None) -> dict:
    """Train, or go on from a checkpoint; returns what of the last checkpoint is compared."""
    for kind in (MessageHub, MMLogger):  # mmengine keeps them by name, for good
        kind._instance_dict.clear()
    cfg.work_dir = str(work_dir)
    cfg.load_from, cfg.resume = (None, False) if start is None else (str(start), True)
    with on_device(device):
        build_runner(cfg).train()
    checkpoint = torch.load(work_dir / f'iter_{cfg.train_cfg.max_iters}.pth', map_location='cpu', weights_only=False)
    return {key: checkpoint[key] for key in COMPARED if key in checkpoint}


def differences(one: dict, other: dict) -> list[str]:
    """Names of the entries of two checkpoints that are not equal bit for bit."""
    return [key for key in sorted({*one, *other}) if key not in one or key not in other or
            not same(one[key], other[key])]


__all__ = ['ITERATIONS', 'STAGES', 'differences', 'folder_with_videos', 'train', 'training_config']
