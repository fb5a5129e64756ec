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
    """Column with the frames per second."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text('- frames/s' if speed is None else f'{speed:.2f} frames/s')


class FrameProgress:
    """Progress bars on standard error, with frames per second and remaining time. Use it in a ``with`` statement.

    Args:
        enabled (bool): Whether to show the bars.
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
        """Yield items and count them in a bar. The bar is complete when the items are exhausted.

        Args:
            items (Iterable): The items.
            total (int, optional): Number of items, if known.
            description (str): Label of the bar.

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
