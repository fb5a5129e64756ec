# Copyright (c) The mmvc contributors. All rights reserved.
import logging

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from mmvc.registry import HOOKS
from mmvc.utils.random_state import get_random_state, set_random_state

KEY = 'random_state'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Keeps the random generators of every rank in the checkpoints, and validation from touching them.

    The states (see :func:`get_random_state`) are the entry ``random_state`` of a checkpoint, one per rank, 10 KiB
    each. They are put back right before the first step of a resumed training, when model, data and hooks have made
    their draws. Around a validation they are kept, so that it does not matter to the training whether one took place.

    :class:`AtomicCheckpointHook` asks all ranks for their states; with mmengine's ``CheckpointHook``, which saves on
    the first rank only, a checkpoint of several ranks gets none.
    """

    priority = 'VERY_HIGH'  # before others draw

    def __init__(self) -> None:
        self._gathered: list[dict[str, Tensor]] | None = None
        self._to_restore: dict[str, Tensor] | None = None
        self._before_val: dict[str, Tensor] | None = None

    def gather_for_checkpoint(self, runner: Runner) -> None:
        """Collect the states of all ranks; called on all of them before the first one saves."""
        self._gathered = all_gather_object(self._state_after_last_step())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states."""
        if self._gathered is None and get_world_size() == 1:
            self._gathered = [self._state_after_last_step()]
        if self._gathered is not None:
            checkpoint[KEY] = self._gathered
        self._gathered = None

    def _state_after_last_step(self) -> dict[str, Tensor]:
        return get_random_state() if self._to_restore is None else self._to_restore

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take this rank's states from a checkpoint that is resumed."""
        if not runner._resume:
            return
        states = checkpoint.get(KEY, [])
        if len(states) == get_world_size():
            self._to_restore = states[get_rank()]
        else:
            print_log(f'The checkpoint has random states of {len(states)} processes, this training has '
                      f'{get_world_size()}: it is resumed, but not exactly as if it had not stopped', logger='current',
                      level=logging.WARNING)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        """Restore the states, once."""
        if self._to_restore is not None:
            set_random_state(self._to_restore)
            self._to_restore = None

    def before_val_epoch(self, runner: Runner) -> None:
        """Keep the states; those of a checkpoint, if no step has been made since it was resumed."""
        if self._to_restore is not None:
            set_random_state(self._to_restore)
        self._before_val = get_random_state()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Put them back, before any checkpoint is written."""
        if self._before_val is not None:
            set_random_state(self._before_val)
            self._before_val = None
