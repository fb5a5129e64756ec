# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.registry import HOOKS
from mmvc.utils.adaptive_threads import adapt_threads

DATA_BATCH = dict | tuple | list | None


@HOOKS.register_module()
class AdaptThreadsHook(Hook):
    """Lets training, validation and test use fewer threads while other processes use the cores.

    :func:`build_runner` adds this hook to every runner. :class:`mmvc.utils.adaptive_threads.AdaptiveThreads` says what
    keeps the number fixed.
    """

    priority = 'VERY_LOW'

    def _after_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None,
                    outputs: Sequence | dict | None = None, mode: str = 'train') -> None:
        adapt_threads()
