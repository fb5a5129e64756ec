# Copyright (c) The mmvc contributors. All rights reserved.
"""How many threads a process uses, and how they wait for each other. This must be set before torch is imported.

The threads of PyTorch on a CPU (OpenMP) spin when they wait for each other, and sleep only after a while: those of
the GNU runtime after 300,000 rounds. If other processes want the same cores, this time is lost to all of them. A short
spin costs nothing on an idle machine. See ``docs/en/performance.md`` for measurements.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

#: variables by which a user decides how threads wait
WAIT_VARIABLES = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME')
COUNT_VARIABLE = 'OMP_NUM_THREADS'
#: rounds of GNU's runtime, milliseconds of Intel's and LLVM's
_SHORT_SPIN = dict(GOMP_SPINCOUNT='10000', KMP_BLOCKTIME='1')
_chosen: dict[str, str] = {}  # what set_threads set, and not the user


def set_threads() -> None:
    """Let the threads of this process and its children spin shortly, and be no more than the cores they may use.

    What the user has set stays: ``OMP_NUM_THREADS``, and any of ``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT`` and
    ``KMP_BLOCKTIME``. OpenMP reads its settings when torch is imported. If that has happened, this function does
    nothing.
    """
    if 'torch' in sys.modules:
        return
    if not any(name in os.environ for name in WAIT_VARIABLES):
        os.environ.update(_SHORT_SPIN)
    cores = usable_cores()
    if not os.environ.get(COUNT_VARIABLE) and cores < _allowed_cores():  # OpenMP knows the affinity, but no quota
        os.environ[COUNT_VARIABLE] = _chosen[COUNT_VARIABLE] = str(cores)


def count_is_chosen() -> bool:
    """Whether the user, or the process that has started this one, has set the number of threads."""
    return (os.environ.get(COUNT_VARIABLE) or None) != _chosen.get(COUNT_VARIABLE)  # OpenMP ignores an empty one


def threads_per_process(processes: int) -> int:
    """Share the cores that this process may use between several processes.

    Args:
        processes (int): Number of processes that compute at the same time.

    Returns:
        int: Threads for each of them, at least 1.
    """
    return max(1, usable_cores() // max(1, processes))


def child_environment(processes: int) -> dict[str, str]:
    """Make the environment of children that compute at the same time and share the cores.

    Args:
        processes (int): Number of children.

    Returns:
        dict[str, str]: The environment of this process, with the number of threads of each child. A number that the
        user has set stays.
    """
    environment = dict(os.environ)
    if not count_is_chosen():
        environment[COUNT_VARIABLE] = str(threads_per_process(processes))
    environment.setdefault('MKL_NUM_THREADS', environment[COUNT_VARIABLE])  # mmengine would set 1
    return environment


def usable_cores(root: Path = Path('/')) -> int:
    """Count the cores that this process may really use: its affinity, and the quota of its control groups.

    Args:
        root (Path): Folder that has ``proc`` and ``sys``. Defaults to ``/``.

    Returns:
        int: Number of cores, at least 1. Parts of a core do not count, because all threads wait for the slowest one.
    """
    return max(1, min([_allowed_cores(), *(int(quota) for quota in _quotas(root))]))


def _allowed_cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """The quota in cores of each control group that this process is in; nothing for those without a quota."""
    try:
        groups = (root / 'proc/self/cgroup').read_text(errors='surrogateescape').split('\n')
    except OSError:  # no Linux
        return
    for group in groups:
        _, controllers, path = group.split(':', 2) if group.count(':') > 1 else ('', 'unknown', '')
        if controllers == '':  # version 2
            mounts = ['sys/fs/cgroup', 'sys/fs/cgroup/unified']
        elif 'cpu' in controllers.split(','):
            mounts = [f'sys/fs/cgroup/{controllers}', 'sys/fs/cgroup/cpu']
        else:
            continue
        for mount in mounts:
            folder = root / mount / path.strip('/')
            while folder != (root / mount).parent:  # the quota of a group also limits those in it
                yield from _quota(folder)
                folder = folder.parent


def _quota(folder: Path) -> Iterator[float]:
    try:
        if (folder / 'cpu.max').is_file():
            quota, period = (folder / 'cpu.max').read_text().split()[:2]
        else:
            quota, period = ((folder / f'cpu.cfs_{name}_us').read_text().strip() for name in ('quota', 'period'))
        if quota != 'max' and int(quota) > 0 and int(period) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError):  # no such file, or another format: no quota is known
        return
