# Copyright (c) The mmvc contributors. All rights reserved.
"""Which browser tab runs a job, so that each cancels its own only."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Sessions:
    """The running jobs by the id of their tab. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._running: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def job(self, session: str) -> Iterator[threading.Event]:
        """Register a job for the length of the block.

        Args:
            session (str): Id of the tab.

        Yields:
            Event: It is set when the job is to end.
        """
        cancelled = threading.Event()
        with self._lock:
            self._running.setdefault(session, []).append(cancelled)
        try:
            yield cancelled
        finally:
            with self._lock:
                self._running[session].remove(cancelled)
                if not self._running[session]:
                    del self._running[session]

    def cancel(self, session: str) -> bool:
        """Tell the jobs of a tab to end.

        Args:
            session (str): Id of the tab.

        Returns:
            bool: Whether it had one.
        """
        with self._lock:
            running = list(self._running.get(session, ()))
        for cancelled in running:
            cancelled.set()
        return bool(running)
