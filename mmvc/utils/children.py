# Copyright (c) The mmvc contributors. All rights reserved.
"""Child processes that end with the process that started them, even if that one is killed."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .atomic import is_running

#: tells a child that runs a tool whom to watch, where the kernel cannot be asked to end it
PARENT_VARIABLE = 'MMVC_PARENT_PROCESS'
#: how long a child may take to end by itself
SECONDS_TO_END = 30.
_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h
_POLL_SECONDS = 1.


def die_with_parent() -> None:
    """Let this process be killed as soon as the process that started it ends.

    On Linux the kernel does it. It looks at the thread that started this process, so children should be started by the
    main thread. Elsewhere a thread looks every second.
    """
    parent = os.getppid()
    started_by = multiprocessing.parent_process()
    set_death_signal = _death_signal_setter()
    if set_death_signal is not None:
        set_death_signal()
    else:
        _watch(lambda: os.getppid() == parent)
    # the parent may have ended before
    if os.getppid() != parent or started_by is not None and not started_by.is_alive():
        os.kill(os.getpid(), signal.SIGKILL)


def start_child(command: Sequence[str], env: dict[str, str] | None = None, **kwargs: Any) -> subprocess.Popen:
    """Start a program that is killed when this process ends. Call it in the main thread.

    Where the kernel cannot do that, it works only for the tools of this package: they call :func:`watch_parent`.

    Args:
        command (Sequence[str]): Program and arguments.
        env (dict[str, str], optional): Environment. Defaults to None: that of this process.
        **kwargs: As for :class:`subprocess.Popen`.

    Returns:
        subprocess.Popen: The process.
    """
    parent, set_death_signal = os.getpid(), _death_signal_setter()
    if set_death_signal is None:
        return subprocess.Popen(command, env={**(os.environ if env is None else env), PARENT_VARIABLE: str(parent)},
                                **kwargs)

    def before_exec() -> None:
        set_death_signal()
        if os.getppid() != parent:
            os._exit(1)

    return subprocess.Popen(command, env=env, preexec_fn=before_exec, **kwargs)


def run_child(command: Sequence[str], env: dict[str, str] | None = None) -> int:
    """Run a program, see :func:`start_child`, and wait for it. If this process is interrupted, the program is ended.

    Args:
        command (Sequence[str]): Program and arguments.
        env (dict[str, str], optional): Environment. Defaults to None: that of this process.

    Returns:
        int: Its exit status.
    """
    process = start_child(command, env)
    try:
        return process.wait()
    finally:
        end_children([process])


def end_children(processes: Iterable[subprocess.Popen], seconds: float = SECONDS_TO_END) -> None:
    """Ask processes to end (SIGTERM), and kill those that do not.

    Args:
        processes (Iterable[subprocess.Popen]): The processes. Those that have ended are left alone.
        seconds (float): How long they may take to end by themselves. Defaults to 30.
    """
    running = [process for process in processes if process.poll() is None]
    for process in running:
        process.terminate()
    limit = time.monotonic() + seconds
    for process in running:
        try:
            process.wait(max(0., limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def watch_parent() -> None:
    """Watch the process that called :func:`start_child`, and end with it, where the kernel does not see to that."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is not None and _death_signal_setter() is None:
        _watch(lambda: is_running(int(parent)))


def _death_signal_setter() -> Callable[[], Any] | None:
    """Return a function that asks Linux to kill the calling process when its parent ends; None elsewhere."""
    if not sys.platform.startswith('linux'):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl  # loaded before a fork: a child must not load libraries
    return lambda: prctl(_SET_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)


def _watch(is_alive: Callable[[], bool]) -> None:
    """Kill this process once ``is_alive`` is False."""

    def watch() -> None:
        while is_alive():
            time.sleep(_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name='watch of the parent process', daemon=True).start()
