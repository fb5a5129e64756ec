# Copyright (c) The mmvc contributors. All rights reserved.
"""Calling a function for many inputs in several processes, or a little ahead in threads."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.context import BaseContext
from typing import Any

import cv2

from .arguments import check_number
from .batch import attempt
from .children import die_with_parent
from .memory import keep_freed_memory
from .progress import ProgressBars


def run_jobs(function: Callable, jobs: Sequence, workers: int, keep_going: bool = False) -> Iterator[Any]:
    """Yield ``function(job)`` for every job, in order, and show a progress bar.

    Args:
        function (Callable): Function that worker processes can import, or a :func:`functools.partial` of one.
        jobs (Sequence): Arguments, one per call.
        workers (int): Number of worker processes; 1 uses this process.
        keep_going (bool): Whether to go on past jobs whose files are broken. Defaults to False: the first one is an
            error.

    Yields:
        Any: The results; for a broken job with ``keep_going`` a :class:`Failure`.

    Raises:
        UsageError: ``workers`` is not a positive integer.
    """
    check_number('workers', workers, 1, whole=True)
    if not jobs:
        return
    with ProgressBars('jobs') as progress:
        yield from progress.track(_map(function, jobs, min(workers, len(jobs)), keep_going), len(jobs), 'working')


def prefetch(function: Callable, items: Iterable, ahead: int = 4) -> Iterator[Any]:
    """Map in order, computing a few results ahead in two threads: decoders of images run beside Python.

    Args:
        function (Callable): Called with each item.
        items (Iterable): The items.
        ahead (int): How many results are computed, and held, ahead. Defaults to 4.

    Yields:
        Any: ``function(item)``, in the order of the items.
    """
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _map(function: Callable, jobs: Sequence, workers: int, keep_going: bool) -> Iterator[Any]:
    module = (function.func if isinstance(function, partial) else function).__module__
    if keep_going:
        function = partial(attempt, function)
    if workers == 1:
        yield from map(function, jobs)
        return
    # Do not fork this process: OpenCV's threads do not survive it. A fork server imports the package only once.
    context: BaseContext = multiprocessing.get_context('spawn')
    if 'forkserver' in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload([module])
    executor = ProcessPoolExecutor(workers, context, _start_worker)
    try:
        yield from executor.map(function, jobs)
    except (KeyboardInterrupt, SystemExit):  # do not wait until the running jobs are done
        for process in multiprocessing.active_children():
            process.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # after Ctrl-C the main process ends the workers
    die_with_parent()
    cv2.setNumThreads(1)
    keep_freed_memory()
