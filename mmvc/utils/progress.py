# Copyright (c) The mmvc contributors. All rights reserved.
import sys
from collections.abc import Callable, Iterable, Iterator
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

# Seconds after which a speed says something: the first items may come at once, from a buffer.
_WARM_UP = 1.
Report = Callable[[str, int, int | None], None]


class SpeedColumn(ProgressColumn):
    """Column of a progress bar: how many items are done per second, on average since the bar began.

    A running bar has no speed for the first second, and before its first item.

    Args:
        unit (str): What is counted, in the plural.
    """

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Draw the column."""
        elapsed = task.finished_time if task.finished else task.elapsed
        if not elapsed or not task.completed or not task.finished and elapsed < _WARM_UP:
            return Text('')
        return Text(f'{task.completed / elapsed:.2f} {self.unit}/s')


class ProgressBars:
    """Progress bars with the speed and the time left, on standard error. Used in a ``with`` statement.

    Args:
        unit (str): What is counted, in the plural. Defaults to 'frames'.
        enabled (bool): Whether to show anything. Defaults to True.
        report (Callable, optional): Called with the label, the number of items that are done and their total (None if
            it is not known), before the first item and after each, whether or not bars are shown. What it raises ends
            the loop. Defaults to None.

    Examples:
        >>> with ProgressBars('videos') as progress:
        ...     for video in progress.track(videos, len(videos), 'scoring'):
        ...         score(video)
    """

    def __init__(self, unit: str = 'frames', enabled: bool = True, report: Report | None = None) -> None:
        self._report = report or (lambda description, done, total: None)
        self._progress = Progress(
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            SpeedColumn(unit),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=Console(stderr=True),
            # text for a file or a pipe must not go to the console
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
            disable=not enabled)

    def __enter__(self) -> 'ProgressBars':
        self._progress.start()
        return self

    def track(self, items: Iterable[Any], total: int | None, description: str) -> Iterator[Any]:
        """Yield items, and advance a bar after each of them.

        Args:
            items (Iterable): The items.
            total (int, optional): Number of items, if known.
            description (str): Label of the bar.

        Yields:
            Any: The items.
        """
        task = self._progress.add_task(description, total=total)
        done = 0
        self._report(description, done, total)
        for item in items:
            yield item
            done += 1
            self._progress.advance(task)
            self._report(description, done, total)
        self._progress.update(task, total=done, completed=done)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._progress.stop()
