# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.registry import HOOKS
from mmvc.utils.adaptive_threads import AdaptiveThreads

DATA_BATCH = dict | tuple | list | None


@HOOKS.register_module()
class AdaptThreadsHook(Hook):
    """Lets training, validation and test use fewer threads while other processes use the cores.

    :func:`build_runner` adds this hook to every runner. See :class:`AdaptiveThreads` for what keeps the number fixed.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self._threads = AdaptiveThreads()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None,
                         outputs: dict | None = None) -> None:
        """Adapt the number of threads."""
        self._threads.adapt()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None,
                       outputs: Sequence | None = None) -> None:
        """Adapt the number of threads."""
        self._threads.adapt()

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None,
                        outputs: Sequence | None = None) -> None:
        """Adapt the number of threads."""
        self._threads.adapt()
