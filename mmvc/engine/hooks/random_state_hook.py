# Copyright (c) The mmvc contributors. All rights reserved.
import logging

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from mmvc.registry import HOOKS
from mmvc.utils.random_state import get_random_state, set_random_state

_KEY = 'random_state'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves the RNG states of all ranks in checkpoints, and restores them after validation.

    The states (see :func:`get_random_state`) are stored as ``random_state`` of a checkpoint, 10 KiB per rank. A
    resumed training restores them right before its first step, after model, data and hooks have drawn random numbers.
    They are also restored after each validation, so that validations do not change the training.

    The states of several ranks are saved only with :class:`AtomicCheckpointHook`, which asks all ranks for them;
    mmengine's ``CheckpointHook`` calls no hook on the other ranks.
    """

    priority = 'VERY_HIGH'  # before other hooks draw random numbers

    def __init__(self) -> None:
        self._gathered: list[dict[str, Tensor]] | None = None
        self._to_restore: dict[str, Tensor] | None = None
        self._before_val: dict[str, Tensor] | None = None

    def gather_for_checkpoint(self, runner: Runner) -> None:
        """Gather the states of all ranks. Called on all ranks before rank 0 saves."""
        self._gathered = all_gather_object(self._state_after_last_step())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states to the checkpoint."""
        if self._gathered is None and get_world_size() == 1:
            self._gathered = [self._state_after_last_step()]
        if self._gathered is not None:
            checkpoint[_KEY] = self._gathered
        self._gathered = None

    def _state_after_last_step(self) -> dict[str, Tensor]:
        if self._to_restore is not None:
            return self._to_restore
        return get_random_state() if self._before_val is None else self._before_val

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Read the states of this rank from a checkpoint that is resumed."""
        if not runner._resume:
            return
        states = checkpoint.get(_KEY, [])
        if len(states) == get_world_size():
            self._to_restore = states[get_rank()]
        else:
            print_log(f'The checkpoint has RNG states of {len(states)} processes, this training has '
                      f'{get_world_size()}: it is resumed, but differs from an uninterrupted training',
                      logger='current', level=logging.WARNING)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Restore the states before the first step."""
        if self._to_restore is not None:
            set_random_state(self._to_restore)
            self._to_restore = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Store the states; before the first step of a resumed training, those of the checkpoint."""
        if self._to_restore is not None:
            set_random_state(self._to_restore)
        self._before_val = get_random_state()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Restore the states, before a checkpoint is written."""
        if self._before_val is not None:
            set_random_state(self._before_val)
            self._before_val = None
