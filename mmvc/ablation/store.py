# Copyright (c) The mmvc contributors. All rights reserved.
"""Where trainings and their numbers lie, and what is there already."""

import json
from pathlib import Path
from typing import Any

from mmvc.engine import Stage
from mmvc.utils.atomic import atomic_write

from .plan import Training


class Store:
    """The folder of all trainings, of one plan or of several that share trainings.

    ``<root>/<training>/`` holds ``<stage>/`` (logs, checkpoints), ``<evaluation>.json`` (numbers), ``training.json``
    (what it is, what it cost) and ``log.txt`` (what it printed).

    Args:
        root (str | Path): The folder.
    """

    def __init__(self, root: Any) -> None:
        self.root = Path(root)

    def folder(self, training: Training) -> Path:
        """Folder of a training."""
        return self.root / training.key

    def stage(self, training: Training) -> Stage:
        """The training as a stage, with its work dir."""
        work_dir = str(self.folder(training) / training.stage)
        training.cfg.work_dir = work_dir
        training.cfg.experiment_name = training.key
        return Stage(training.stage, training.cfg, work_dir)

    def is_trained(self, training: Training) -> bool:
        """Whether the training is finished and its weights are there."""
        marker = self.stage(training).marker()
        return marker is not None and Path(marker['checkpoint']).exists()

    def is_done(self, training: Training) -> bool:
        """Whether the training is finished and all of its tests are."""
        return self.is_trained(training) and all(
            self.numbers(training, key) is not None for key in training.evaluations)

    def numbers(self, training: Training, evaluation: str) -> dict[str, float] | None:
        """Numbers of an evaluation by its key, or None if it was not run."""
        path = self.folder(training) / f'{evaluation}.json'
        return json.loads(path.read_text()) if path.exists() else None

    def write(self, training: Training, name: str, content: Any) -> None:
        """Write ``<name>.json`` into the folder of a training."""
        atomic_write(self.folder(training) / f'{name}.json', json.dumps(content, indent=2).encode())

    def cost(self, training: Training) -> dict[str, float]:
        """``wall_seconds`` and ``cpu_seconds`` of a training, tests included; empty if it has not been run."""
        path = self.folder(training) / 'training.json'
        return json.loads(path.read_text())['cost'] if path.exists() else {}
