# Copyright (c) The mmvc contributors. All rights reserved.
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmvc.registry import HOOKS

DATA_BATCH = dict | tuple | list | None


@HOOKS.register_module()
class HostMemoryHook(Hook):
    """Logs the main memory of this process and its data workers as ``host_memory``, in MiB.

    It shows slow leaks of host memory. Shared pages are divided among the processes that share them (proportional set
    size). Works on Linux only; elsewhere nothing is logged.

    Args:
        interval (int): Number of iterations between readings; best the interval of the logger. Defaults to 50.
    """

    priority = 'HIGH'  # before the logger

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: DATA_BATCH = None,
                         outputs: Sequence | None = None) -> None:
        """Log the memory, every ``interval`` iterations."""
        if self.every_n_train_iters(runner, self.interval) or runner.iter == 0:
            memory = host_memory()
            if memory is not None:
                runner.message_hub.update_scalar('train/host_memory', memory)


def host_memory() -> float | None:
    """Return the memory of this process and its descendants in MiB, or None if the system does not report it."""
    total = 0
    waiting = [str(os.getpid())]
    while waiting:
        folder = Path('/proc', waiting.pop())
        try:
            rollup = (folder / 'smaps_rollup').read_text()
            for thread in (folder / 'task').iterdir():
                waiting += (thread / 'children').read_text().split()
        except OSError:  # not Linux, or the process has just ended
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith('Pss:'))
    return total / 1024 if total else None
