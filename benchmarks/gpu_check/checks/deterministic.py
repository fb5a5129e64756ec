# Copyright (c) The mmvc contributors. All rights reserved.
"""Two deterministic trainings (``--deterministic``) end with the same checkpoints, bit for bit."""

from pathlib import Path

import torch
from mmengine.optim import OptimWrapper

from benchmarks.training import build_row, random_clips
from mmvc.engine import enable_deterministic

from ..models import Model, model_config
from ..recorder import Recorder, Settings
from ..trainings import STAGES, differences, folder_with_videos, train, training_config

#: models with other operations, whose sizes do not matter here: a tuned encoder, and one with deformable attention
OTHERS = {
    'VidEoMT': Model('videomt/videomt_vitl_dinov2_vspw', 'online'),
    'DVIS++ ViT-L, segmenter': Model('dvispp/dvispp_vitl_vspw', 'segmenter'),
}


def run(recorder: Recorder, settings: Settings) -> None:
    """Train every stage twice."""
    with folder_with_videos() as folder:
        for stage in STAGES:
            recorder.attempt(stage, compare, recorder, stage, folder, settings, seconds=5.)
    for name, model in OTHERS.items():
        recorder.attempt(name, compare_steps, recorder, name, model, settings, seconds=5.)


def compare(recorder: Recorder, stage: str, folder: Path, settings: Settings) -> None:
    """Add a row for a stage, and fail if two runs end differently."""
    ends = [train(training_config(stage, folder, settings), folder / f'{stage}_{run}', settings.device)
            for run in ('first', 'second')]
    different = differences(*ends)
    recorder.row(training=stage, **{'two runs': 'different' if different else 'identical'})
    recorder.require(not different, f'{stage}: two runs end with different {", ".join(different)}')


def compare_steps(recorder: Recorder, name: str, model: Model, settings: Settings) -> None:
    """Add a row for a model that has no short training, by the weights after two steps."""
    cfg = model_config(model, settings._replace(size='toy'))
    enable_deterministic(cfg)
    torch.use_deterministic_algorithms(True)
    clips = random_clips(cfg, (64, 96), 1, 2)
    ends = []
    for _ in range(2):
        row = build_row(name, cfg, settings.device)
        row.optimizer = OptimWrapper(torch.optim.AdamW(row.model.parameters(), lr=1e-3))
        for step in range(2):
            row.step(clips, step)
        ends.append(row.model.state_dict())
    identical = all(torch.equal(a, b) for a, b in zip(*(end.values() for end in ends)))
    recorder.row(training=name, **{'two runs': 'identical' if identical else 'different'})
    recorder.require(identical, f'{name}: two runs end with different weights')
