# Copyright (c) The mmvc contributors. All rights reserved.
"""What a check finds, line by line in a file, so that nothing is lost when its process is killed."""

import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PASSED, FAILED, SKIPPED, TIMED_OUT = 'passed', 'failed', 'skipped', 'timed out'


class Settings(NamedTuple):
    """What all checks are told."""

    device: str
    """``cuda`` or ``cpu``."""
    size: str
    """``full``: the published models and frame sizes; ``toy``: tiny ones, to try the checks themselves."""


class Skipped(Exception):
    """Ends a check, or a part of one, that cannot run here; the message says why."""


class Recorder:
    """Writes the findings of one check.

    Args:
        path (Path): File of JSON lines, which is appended to.
        seconds (float): Time that the check has, from now on.
    """

    def __init__(self, path: Path, seconds: float) -> None:
        self.path = path
        self._end = time.monotonic() + seconds

    def row(self, **columns: Any) -> None:
        """Add a line to the check's table: names and values of its columns."""
        append(self.path, row=columns)
        print('  '.join(f'{name}: {value}' for name, value in columns.items()), flush=True)

    def note(self, text: str) -> None:
        """Add a sentence to the report."""
        append(self.path, note=text)

    def skip(self, text: str) -> None:
        """Say that a part was not run, and why."""
        append(self.path, skip=text)

    def fail(self, text: str) -> None:
        """Say that something is wrong; the check goes on, and has failed."""
        append(self.path, fail=text)
        print(f'FAILED: {text}', flush=True)

    def require(self, condition: bool, text: str) -> bool:
        """Fail with a text unless a condition holds; returns the condition."""
        if not condition:
            self.fail(text)
        return bool(condition)

    def seconds_left(self) -> float:
        """Seconds until the process is killed."""
        return self._end - time.monotonic()

    def attempt(self, name: str, function: Callable, *args: Any, seconds: float = 0.) -> None:
        """Run a part of the check: an error in it is recorded, and the check goes on.

        Args:
            name (str): Name for the report.
            function (Callable): The part; what it returns is not used.
            *args: Its arguments.
            seconds (float): Time that it needs at least; with less left, it is skipped. Defaults to 0.
        """
        if self.seconds_left() < seconds:
            self.skip(f'{name}: no time left')
            return
        try:
            function(*args)
        except Skipped as reason:
            self.skip(f'{name}: {reason}')
        except Exception as error:
            traceback.print_exc()
            if is_out_of_memory(error):
                self.skip(f'{name}: out of memory')
            else:
                self.fail(f'{name}: {first_line(error)}')



def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device has too little memory, which is no fault of the package."""
    return type(error).__name__ == 'OutOfMemoryError'


def first_line(error: BaseException) -> str:
    """Type and first line of an error."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0]}' if lines else type(error).__name__


class Result(NamedTuple):
    """The findings of a check."""

    status: str
    """One of the constants above; '' while it runs, or if its process was killed."""
    seconds: float
    rows: list[dict]
    notes: list[str]
    skips: list[str]
    failures: list[str]
    settings: dict
    """Device, size and commit that it was run with."""


def read_result(path: Path) -> Result | None:
    """Read what a recorder wrote; None if there is nothing. A last line that was not completed is left out."""
    if not path.is_file():
        return None
    found: dict[str, list] = dict(row=[], note=[], skip=[], fail=[])
    status, seconds, settings = '', 0., {}
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        for kind, value in event.items():
            if kind in found:
                found[kind].append(value)
        status, seconds = event.get('status', status), event.get('seconds', seconds)
        settings = event.get('settings', settings)
    return Result(status, seconds, found['row'], found['note'], found['skip'], found['fail'], settings)


def append(path: Path, **event: Any) -> None:
    """Add an event to the file of a check: ``settings`` at its beginning, ``status`` and ``seconds`` at its end."""
    with open(path, 'a', encoding='utf-8') as file:
        file.write(json.dumps(event) + '\n')
