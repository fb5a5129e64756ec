# Copyright (c) The mmvc contributors. All rights reserved.
"""A resumed training ends with the checkpoint of an uninterrupted one, bit for bit."""

from pathlib import Path

from ..recorder import Recorder, Settings
from ..trainings import ITERATIONS, STAGES, differences, folder_with_videos, train, training_config

#: the scaler of mixed precision is resumed, too; mmengine has it for GPUs only
AMP = {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.loss_scale': 'dynamic'}


def run(recorder: Recorder, settings: Settings) -> None:
    """Train every stage at once, and again from a checkpoint in the middle."""
    with folder_with_videos() as folder:
        for stage in STAGES:
            recorder.attempt(stage, compare, recorder, stage, stage, folder, settings, seconds=5.)
        name = 'segmenter, AMP'
        if settings.device == 'cuda':
            recorder.attempt(name, compare, recorder, name, 'segmenter', folder, settings, AMP, seconds=5.)
        else:
            recorder.skip(f'{name}: needs CUDA')


def compare(recorder: Recorder, name: str, stage: str, folder: Path, settings: Settings, options: dict = {}) -> None:
    """Add a row for a stage, and fail if both trainings end differently."""
    total, middle = ITERATIONS[settings.size]
    whole, resumed = folder / name / 'whole', folder / name / 'resumed'
    expected = train(training_config(stage, folder, settings, **options), whole, settings.device)
    found = train(training_config(stage, folder, settings, **options), resumed, settings.device,
                  whole / f'iter_{middle}.pth')
    different = differences(expected, found)
    recorder.row(stage=name, **{f'{total} iterations, {middle} + {total - middle}':
                                'different' if different else 'identical'})
    recorder.require(not different, f'{name}: a resumed training ends with different {", ".join(different)}')
