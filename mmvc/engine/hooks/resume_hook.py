# Copyright (c) The mmvc contributors. All rights reserved.
import json
import logging
from collections.abc import Sized
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmvc.engine.resuming import SETTINGS, START, adapt_to_config
from mmvc.registry import HOOKS

_NUM_SAMPLES = 'num_training_samples'  # entry of meta of a checkpoint


@HOOKS.register_module()
class ResumeHook(Hook):
    """Stores the settings of a training in its checkpoints, and resumes as the config says if they have changed.

    Args:
        settings (dict[str, Any]): See :func:`mmvc.engine.training_settings.training_settings`.
        start (str, optional): The weights that the training starts from, see :func:`mmvc.engine.stage.start_of`.
    """

    priority = 'VERY_LOW'  # after hooks that change the checkpoint, such as EMAHook

    def __init__(self, settings: dict[str, Any], start: str | None = None) -> None:
        self.settings = settings
        self.start = start

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the settings to a checkpoint."""
        checkpoint['meta'][SETTINGS] = json.dumps(self._settings())
        checkpoint['meta'][_NUM_SAMPLES] = _num_samples(runner)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the settings of a checkpoint that is resumed.

        Raises:
            UsageError: The training cannot go on as the config asks, or the stored settings are damaged.
        """
        if runner._resume:
            adapt_to_config(runner, checkpoint, self._settings())
            before, now = checkpoint['meta'].get(_NUM_SAMPLES), _num_samples(runner)
            if type(before) is int and now is not None and before != now:
                print_log(f'The training data had {before} samples when the checkpoint was saved, and have {now} now: '
                          'the resumed training has another order of data than one without interruption',
                          logger='current', level=logging.WARNING)

    def _settings(self) -> dict[str, Any]:
        return {**self.settings, 'processes': get_world_size(), START: self.start}


def _num_samples(runner: Runner) -> int | None:
    dataset = getattr(getattr(runner.train_loop, 'dataloader', None), 'dataset', None)
    return len(dataset) if isinstance(dataset, Sized) else None
