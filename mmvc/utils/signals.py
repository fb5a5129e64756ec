# Copyright (c) The mmvc contributors. All rights reserved.
"""Signals that ask a process to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the process by :class:`SystemExit`, so that drafts and children do not stay behind.

    Ctrl-C raises :class:`KeyboardInterrupt` from here on; the tools let it end them without a traceback while they are
    still importing. A second signal ends the process at once. Signals that the process was started to ignore
    (``nohup``) stay ignored. Outside of the main thread, which alone gets signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {signal.SIGTERM: _exit, signal.SIGHUP: _exit, signal.SIGINT: signal.default_int_handler}
    # handlers that somebody else has set are kept
    before = {number: signal.getsignal(number) for number in handlers if signal.getsignal(number) == signal.SIG_DFL}
    for number in before:
        signal.signal(number, handlers[number])
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)
