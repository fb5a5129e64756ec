# Copyright (c) The mmvc contributors. All rights reserved.
"""What surrounds the passes over a video: progress bars of modules, Ctrl-C, and warnings of what was skipped."""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log
from torch import nn

from .frame_reader import FrameReader

TrackProgress = Callable[[Iterable, int | None, str], Iterator]


@contextmanager
def tracked_modules(modules: Sequence[nn.Module], track: TrackProgress, description: str) -> Iterator[None]:
    """Show a bar of modules that are called one after the other in the block."""
    begun = track(modules, len(modules), description)

    def show(*_: Any) -> None:
        next(begun, None)

    handles = [module.register_forward_pre_hook(show) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if modules:
        deque(begun, maxlen=0)  # the last one is done


@contextmanager
def ended_by_interrupt(reader: FrameReader) -> Iterator[None]:
    """Let Ctrl-C end a recording and complete its results. A second Ctrl-C interrupts as usual."""
    if not reader.source.live or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        reader.stop()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def warn_of_skipped(reader: FrameReader) -> None:
    """Log a warning for each frame that a reader skipped."""
    for skipped in reader.skipped:
        print_log(f'{reader.source.description}: skipped frame {skipped.index} ("{skipped.name}"): {skipped.reason}',
                  logger='current', level=30)
