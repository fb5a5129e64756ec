# Copyright (c) The mmvc contributors. All rights reserved.
"""A training that is asked to stop, by Ctrl-C or SIGTERM, saves a checkpoint first."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_requested: list[int] = []


class TrainingStopped(Exception):  # noqa: N818  not an error
    """A training ended because it was asked to, and its checkpoint is saved.

    Args:
        signal_number (int): The signal that asked.
        message (str): What is saved, and how to go on.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


def requested_signal() -> int:
    """Number of the signal that asks this process to stop; 0 if there was none."""
    return _requested[0] if _requested else 0


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM only be noted while the block runs: it ends when it has saved what it needs.

    A second signal ends the process at once. Signals that the process was started to ignore stay ignored. Outside the
    main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}

    def note(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a data worker: it ends with the training, or when the training ends it
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        _requested.append(number)
        for each in before:
            signal.signal(each, before[each])
        print('Stopping: a checkpoint is saved after this iteration, or after the validation that is running. A '
              'second signal ends the training at once', file=sys.stderr, flush=True)

    _requested.clear()
    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        _requested.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
