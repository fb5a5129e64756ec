# Copyright (c) The mmvc contributors. All rights reserved.
"""The folder of the trainings: where their results are, and which of them exist."""

import json
import logging
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmvc.engine import Stage
from mmvc.utils.atomic import atomic_write
from mmvc.utils.typing import PathLike

from .plan import Training


class Store:
    """The folder of all trainings, of one plan or of several plans that share trainings.

    ``<root>/<training>/`` holds ``<stage>/`` (logs, checkpoints), ``<evaluation>.json`` (numbers), ``training.json``
    (description and cost) and ``log.txt`` (output).

    Args:
        root (str | Path): The folder.
    """

    def __init__(self, root: PathLike) -> None:
        self.root = Path(root)

    def folder(self, training: Training) -> Path:
        """Return the folder of a training."""
        return self.root / training.key

    def stage(self, training: Training) -> Stage:
        """Return a training as a stage whose work dir is in the store.

        Use it to look at the state of the training. It shares the config of the training, so do not change that;
        :func:`run_training` runs a copy.
        """
        return Stage(training.stage, training.cfg, str(self.folder(training) / training.stage))

    def is_trained(self, training: Training) -> bool:
        """Whether the training is finished and its weights exist."""
        marker = self.stage(training).marker()
        return marker is not None and Path(marker['checkpoint']).exists()

    def is_done(self, training: Training) -> bool:
        """Whether the training and all of its evaluations are finished."""
        return self.is_trained(training) and all(
            self.numbers(training, key) is not None for key in training.evaluations)

    def numbers(self, training: Training, evaluation: str) -> dict[str, float] | None:
        """Read the numbers of an evaluation.

        Args:
            training (Training): The training.
            evaluation (str): Key of the evaluation.

        Returns:
            dict[str, float] | None: Numbers by name. None if the evaluation is not finished.
        """
        return self._read(training, evaluation)

    def write(self, training: Training, name: str, content: Any) -> None:
        """Write ``<name>.json`` into the folder of a training."""
        atomic_write(self.folder(training) / f'{name}.json', json.dumps(content, indent=2).encode())

    def cost(self, training: Training) -> dict[str, float]:
        """Return ``wall_seconds`` and ``cpu_seconds`` of a training with its evaluations; empty if it never ran."""
        return (self._read(training, 'training') or {}).get('cost') or {}

    def _read(self, training: Training, name: str) -> dict | None:
        """Read ``<name>.json`` of a training; None if there is none, or it is damaged."""
        path = self.folder(training) / f'{name}.json'
        if not path.exists():
            return None
        try:
            return dict(json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            print_log(f'"{path}" is damaged ({error}): it is made again', logger='current', level=logging.WARNING)
            return None
