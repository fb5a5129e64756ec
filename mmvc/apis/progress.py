# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class FramesPerSecondColumn(ProgressColumn):
    """How fast frames are done."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text('- frames/s' if speed is None else f'{speed:.2f} frames/s')


class FrameProgress:
    """Progress bars with frames per second and the time left, on standard error. Used in a ``with`` statement.

    Args:
        enabled (bool): Whether to show anything.
    """

    def __init__(self, enabled: bool) -> None:
        self._progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            FramesPerSecondColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            disable=not enabled)

    def __enter__(self) -> 'FrameProgress':
        self._progress.start()
        return self

    def track(self, items: Iterable[Any], total: int | None, description: str) -> Iterator[Any]:
        """Pass items on, and count them.

        Args:
            items (Iterable): What to pass on.
            total (int, optional): How many there will be, if known.
            description (str): What happens to them.

        Yields:
            Any: The items.
        """
        task = self._progress.add_task(description, total=total)
        done = 0
        for item in items:
            yield item
            done += 1
            self._progress.advance(task)
        self._progress.update(task, total=done, completed=done)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._progress.stop()
