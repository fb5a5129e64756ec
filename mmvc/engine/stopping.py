# Copyright (c) The mmvc contributors. All rights reserved.
"""A training that is asked to stop, by Ctrl-C, SIGTERM or the end of its terminal, saves a checkpoint first."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOTICE = b'Stopping as soon as a checkpoint is saved\n'
_SECOND = b'A second signal ends the training at once\n'
_requested: list[int] = []
_active = False


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
    """Let Ctrl-C, SIGTERM and SIGHUP only be noted while the block runs: it ends when it has saved what it needs.

    A second signal ends the process at once. In a process of torchrun it does not, because Ctrl-C arrives twice there,
    from the terminal and from torchrun, which kills its processes after 30 seconds. Nor does
    SIGHUP, which a closed terminal sends twice, from the system and from the shell. Signals that the process was
    started to ignore stay ignored. Outside the main thread nothing is changed. A block inside of another one leaves
    the signals to that. When the block ends, also by an error, the handlers of before are back.
    """
    global _active
    if _active or threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    repeated = 'TORCHELASTIC_RUN_ID' in os.environ
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: handler for number, handler in handlers.items() if handler not in (None, signal.SIG_IGN)}

    def put_back() -> None:
        for number, handler in before.items():
            if signal.getsignal(number) is note:
                signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a data worker: it ends with the training, or when the training ends it
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        if not repeated and number != signal.SIGHUP:
            put_back()
        if not _requested:
            _requested.append(number)
            with suppress(OSError):  # print may not be called here: the signal can come while the program prints
                os.write(2, _NOTICE if repeated else _NOTICE + _SECOND)

    _requested.clear()
    _active = True
    for number in before:
        signal.signal(number, note)
    try:
        yield
    finally:
        _active = False
        _requested.clear()
        put_back()
