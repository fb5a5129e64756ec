# Copyright (c) The mmvc contributors. All rights reserved.
"""How many cores other processes leave free."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import NamedTuple

# If this process has computed less of the wall time, it has waited, and others may stop once it goes on.
_LEAST_SHARE = 0.25


class _Times(NamedTuple):
    """Seconds since the machine, or the process, started."""
    wall: float
    own: float  # CPU time of this process
    children: float  # CPU time of the processes that it has started, such as workers of data loaders
    all: float  # CPU time of all processes on the cores that this one may use


class FreeCores:
    """Measures how many cores other processes have left free since the last measurement.

    The kernel counts the busy time of each core in ``/proc/stat``. What this process and its children used is taken
    off. Other systems than Linux do not say it.

    Args:
        root (Path): Folder that has ``proc``. Defaults to ``/``.
    """

    def __init__(self, root: Path = Path('/')) -> None:
        self._root = root
        self._last = self._read()

    @property
    def seconds(self) -> float:
        """Wall seconds since the last measurement."""
        return 0. if self._last is None else time.monotonic() - self._last.wall

    def measure(self) -> float | None:
        """Measure since the last call, or since the object was made.

        Returns:
            float | None: Cores that others have left free on average, with those that this process uses itself, from
            0 to the number of cores that it may use. None if this process has computed for less than a
            quarter of the time, or the system does not say it.
        """
        last, now = self._last, self._read()
        self._last = now
        if last is None or now is None or now.wall <= last.wall:
            return None
        wall, own, children, total = (after - before for after, before in zip(now, last))
        if own < _LEAST_SHARE * wall:
            return None
        others = max(0., total - own - children)
        return max(0., len(os.sched_getaffinity(0)) - others / wall)

    def _read(self) -> _Times | None:
        try:
            lines = (self._root / 'proc/stat').read_text().split('\n')
            tick = os.sysconf('SC_CLK_TCK')
            allowed = {f'cpu{core}' for core in os.sched_getaffinity(0)}
            rows = [[int(field) for field in row[1:]] for line in lines if (row := line.split()) and row[0] in allowed]
            # user, nice, system, idle, iowait, irq, softirq, steal; the rest is counted in user and nice, too
            busy = sum(sum(row[:3]) + sum(row[5:8]) for row in rows) / tick
            children = sum(map(self._child_seconds, multiprocessing.active_children()))
        except (AttributeError, OSError, ValueError):  # no Linux, or another format
            return None
        if len(rows) < len(allowed):
            return None
        return _Times(time.monotonic(), time.process_time(), children, busy)

    def _child_seconds(self, child: multiprocessing.process.BaseProcess) -> float:
        try:
            fields = (self._root / f'proc/{child.pid}/stat').read_text().rpartition(')')[2].split()
        except OSError:  # it has ended
            return 0.
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')  # user and system time
