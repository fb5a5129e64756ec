# Copyright (c) The mmvc contributors. All rights reserved.
"""Two deterministic trainings (``--deterministic``) end with the same checkpoints, bit for bit."""

from pathlib import Path

from ..recorder import Recorder, Settings
from ..trainings import STAGES, differences, folder_with_videos, train, training_config


def run(recorder: Recorder, settings: Settings) -> None:
    """Train every stage twice."""
    with folder_with_videos() as folder:
        for stage in STAGES:
            recorder.attempt(stage, compare, recorder, stage, folder, settings, seconds=5.)


def compare(recorder: Recorder, stage: str, folder: Path, settings: Settings) -> None:
    """Add a row for a stage, and fail if two runs end differently."""
    ends = [train(training_config(stage, folder, settings), folder / f'{stage}_{run}', settings.device)
            for run in ('first', 'second')]
    different = differences(*ends)
    recorder.row(stage=stage, **{'two runs': 'different' if different else 'identical'})
    recorder.require(not different, f'{stage}: two runs end with different {", ".join(different)}')
