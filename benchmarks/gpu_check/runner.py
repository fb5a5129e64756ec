# Copyright (c) The mmvc contributors. All rights reserved.
"""Runs checks one after the other, each in a process of its own, within a budget of time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .recorder import FAILED, PASSED, SKIPPED, TIMED_OUT, Result, Settings, append, read_result
from .table import Check

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_END = 5.  # that a process may take after SIGTERM
SLOWER_ON_CPU = 10  # the limits of checks are for a GPU
MARGIN = 3.  # seconds that a check is told to have less than it has, to write what it has found


class Runner:
    """Runs checks and keeps their results in files of a folder.

    Args:
        folder (Path): Gets ``checks/NAME.jsonl`` and ``logs/NAME.log``.
        settings (Settings): Device and size.
        commit (str): State of the code. Results of another one are not taken over.
        budget (float): Seconds for all checks together.
        command (Callable): Program and arguments of the process of a check.
        say (Callable): Prints a line for the user.
    """

    def __init__(self,
                 folder: Path,
                 settings: Settings,
                 commit: str,
                 budget: float,
                 command: Callable[[Check, Path, float, Settings], list[str]] | None = None,
                 say: Callable[[str], None] = print) -> None:
        self.folder, self.settings, self.commit = folder, settings, commit
        self.budget, self.command, self.say = budget, command or command_of, say
        for name in ('checks', 'logs'):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def path(self, check: Check) -> Path:
        """File with the findings of a check."""
        return self.folder / 'checks' / f'{check.name}.jsonl'

    def log(self, check: Check) -> Path:
        """File with what its process prints."""
        return self.folder / 'logs' / f'{check.name}.log'

    def limit(self, check: Check) -> float:
        """Seconds after which the process of a check is killed."""
        return check.limit * (SLOWER_ON_CPU if self.settings.device == 'cpu' else 1)

    def finished(self, check: Check) -> Result | None:
        """The result of an earlier run with the same settings, if there is one that need not be repeated."""
        result = read_result(self.path(check))
        if result is None or result.settings != self._identity() or result.status != PASSED:
            return None
        return result

    def run(self, checks: Sequence[Check], resume: bool = False,
            after_each: Callable[[], None] = lambda: None) -> bool:
        """Run checks.

        Args:
            checks (Sequence[Check]): The checks in order. If the first one, ``environment``, fails, the others are not
                run: they would all say the same.
            resume (bool): Whether to keep results of checks that have passed. Defaults to False.
            after_each (Callable): Called after each check, for example to write the report.

        Returns:
            bool: Whether no check has failed.
        """
        end, usable, good = time.monotonic() + self.budget, True, True
        for number, check in enumerate(checks, 1):
            prefix = f'[{number}/{len(checks)}] {check.name}'
            if resume and (result := self.finished(check)):
                self.say(f'{prefix}: {result.status} before')
                continue
            left = end - time.monotonic()
            if not usable:
                self._skip(check, 'the check "environment" has failed')
            elif left < min(check.minimum, self.budget):
                self._skip(check, f'no time left of the budget of {self.budget:.0f} s: raise --budget, or continue '
                           'with --resume')
            else:
                self.say(f'{prefix}: {check.title} ...')
                self._run(check, min(self.limit(check), left))
            result = read_result(self.path(check))
            self.say(f'{prefix}: {describe(result)}')
            usable = usable and not (check.name == 'environment' and result.status != PASSED)
            good = good and result.status in (PASSED, SKIPPED)
            after_each()
        return good

    def _identity(self) -> dict:
        return dict(self.settings._asdict(), commit=self.commit)

    def _begin(self, check: Check) -> Path:
        path = self.path(check)
        path.write_text('')
        append(path, settings=self._identity())
        return path

    def _skip(self, check: Check, reason: str) -> None:
        append(self._begin(check), skip=reason, status=SKIPPED)

    def _run(self, check: Check, seconds: float) -> None:
        """Run a check in a process of its own, and record how it ended."""
        path, start = self._begin(check), time.monotonic()
        python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get('PYTHONPATH'))))
        with open(self.log(check), 'w') as log:
            process = subprocess.Popen(
                self.command(check, path, max(seconds - MARGIN, 1.), self.settings), stdout=log,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                env=dict(os.environ, PYTHONPATH=python_path))
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                end_group(process)
        status = self._status(path, check, code, seconds)
        append(path, status=status, seconds=round(time.monotonic() - start, 1))

    def _status(self, path: Path, check: Check, code: int | None, seconds: float) -> str:
        if code is None:
            append(path, fail=f'ended after {seconds:.0f} s: the last lines of {self.log(check)} tell where it was')
            return TIMED_OUT
        if code:
            reason = f'signal {signal.Signals(-code).name}' if code < 0 else f'code {code}'
            append(path, fail=f'the process ended with {reason}: see {self.log(check)}')
            return FAILED
        result = read_result(path)
        if result.failures:
            return FAILED
        return SKIPPED if result.skips and not result.rows else PASSED


def command_of(check: Check, path: Path, seconds: float, settings: Settings) -> list[str]:
    """The process of a check of the table."""
    return [sys.executable, '-m', 'benchmarks.gpu_check.child', check.name, str(path), f'{seconds:.1f}',
            json.dumps(settings._asdict())]


def end_group(process: subprocess.Popen) -> None:
    """End a process that leads its own group, and all that it has started."""
    for number, seconds in ((signal.SIGTERM, SECONDS_TO_END), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def describe(result: Result) -> str:
    """Status, time and reasons of a result, in a line."""
    reasons = result.failures or (result.skips if result.status == SKIPPED else [])
    text = f'{result.status} ({result.seconds:.0f} s)'
    return f'{text}: {"; ".join(reasons)}' if reasons else text
