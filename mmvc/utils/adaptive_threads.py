# Copyright (c) The mmvc contributors. All rights reserved.
"""Lets PyTorch use fewer threads while other processes use the cores."""

import math
from functools import cache

import torch
from mmengine.logging import print_log

from .free_cores import FreeCores
from .threads import count_is_chosen

#: seconds between two decisions
INTERVAL = 0.5
# A thread is dropped if others use this share of its core, and added again if they use less than the second one.
_DROP, _ADD = 0.3, 0.1


class AdaptiveThreads:
    """Keeps the number of PyTorch's threads at the number of cores that other processes leave free.

    All threads of an operation wait for the slowest one. If another process shares the core of one of them, two
    threads can take five times as long as one. See ``docs/en/performance.md`` for measurements.

    At least half of the threads stay, so that two equal processes end up with half of the cores each. Nothing changes
    if the user, or a launcher, has set ``OMP_NUM_THREADS``; after ``torch.set_num_threads``, its number is the most;
    with ``torch.use_deterministic_algorithms`` the number stays, because sums of another number of threads are rounded
    differently.

    Args:
        free_cores (FreeCores): What measures the free cores.
    """

    def __init__(self, free_cores: FreeCores) -> None:
        self._free_cores = free_cores
        self._most = self._current = torch.get_num_threads()
        self._told = False

    def adapt(self) -> None:
        """Change the number of threads if it is time. Call this often, between two pieces of work."""
        if self._free_cores.seconds < INTERVAL:
            return
        current = torch.get_num_threads()
        if current != self._current:  # somebody else has changed it
            self._most = self._current = current
        if self._most == 1 or count_is_chosen() or torch.are_deterministic_algorithms_enabled():
            return
        free = self._free_cores.measure()
        if free is None:
            return
        wanted = self._wanted(free)
        if wanted != current:
            torch.set_num_threads(wanted)
            self._current = wanted
            self._tell(wanted)

    def _wanted(self, free: float) -> int:
        wanted = math.floor(free + _DROP)
        if wanted > self._current:
            wanted = max(self._current, math.floor(free + _ADD))
        return min(max(wanted, math.ceil(self._most / 2)), self._most)

    def _tell(self, wanted: int) -> None:
        if not self._told:
            self._told = True
            print_log(f'Other processes use the cores: PyTorch goes on with {wanted} of {self._most} threads, and '
                      'returns to all once the cores are free. Set OMP_NUM_THREADS for a fixed number.', 'current')


@cache
def _threads_of_process() -> AdaptiveThreads:
    """One for all: a second one would take the number that the first one has reduced for that of the user."""
    return AdaptiveThreads(FreeCores())


def adapt_threads() -> None:
    """Change the number of threads of this process if it is time, see :class:`AdaptiveThreads`.

    Call this often, between two pieces of work.
    """
    _threads_of_process().adapt()
