# Copyright (c) The mmvc contributors. All rights reserved.
"""The tests with the marker ``cuda``, which are skipped without a CUDA device."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from ..recorder import Recorder, Settings, Skipped
from ..runner import ROOT

_CANDIDATE = re.compile(r'\b(device|cuda)\b')
#: outcomes of a test in pytest's XML, by the element that a test case has
OUTCOMES = dict(failure='failed', error='failed', skipped='skipped')


def run(recorder: Recorder, settings: Settings) -> None:
    """Run the tests in another process, and add a row with their numbers."""
    if settings.device != 'cuda':
        raise Skipped('needs CUDA')
    if importlib.util.find_spec('pytest') is None:
        raise Skipped('needs pytest: pip install pytest')
    run_tests(recorder, test_modules(ROOT / 'tests'))


def test_modules(folder: Path) -> list[Path]:
    """Test modules that can have tests for CUDA: they name the fixture ``device`` or the marker ``cuda``.

    The others are left out, because importing all modules takes longer than these tests. A ``conftest.py`` that names
    them adds its whole folder.
    """
    found = [path for path in sorted(folder.rglob('*.py')) if _CANDIDATE.search(path.read_text(encoding='utf-8'))]
    folders = [path.parent for path in found if path.name == 'conftest.py' and path.parent != folder]
    modules = [path for path in found if path.name.startswith('test_') and not set(path.parents) & set(folders)]
    return folders + modules


def run_tests(recorder: Recorder, paths: list[Path]) -> None:
    """Run the tests for CUDA in modules, and fail for each that fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / 'tests.xml'
        command = [sys.executable, '-m', 'pytest', '-m', 'cuda', '-q', '-p', 'no:cacheprovider', '--tb=short',
                   f'--junitxml={report}', *map(str, paths)]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL)
        if not report.is_file():
            recorder.fail(f'pytest ended with code {done.returncode} and without a report')
            return
        outcomes = read_outcomes(report)
    counts = {outcome: sum(value == outcome for value, _ in outcomes.values()) for outcome in
              ('passed', 'failed', 'skipped')}
    recorder.row(tests=len(outcomes), **counts)
    for name, (outcome, message) in outcomes.items():
        if outcome == 'failed':
            recorder.fail(f'{name}: {message}')
        elif outcome == 'skipped':
            recorder.skip(f'{name}: {message}')
    recorder.require(bool(outcomes), 'pytest found no test with the marker "cuda"')


def read_outcomes(report: Path) -> dict[str, tuple[str, str]]:
    """Outcome and first line of the message of each test in pytest's XML."""
    outcomes = {}
    for case in ElementTree.parse(report).iter('testcase'):
        found = next((child for child in case if child.tag in OUTCOMES), None)
        name = f'{case.get("classname")}.{case.get("name")}'
        message = '' if found is None else (found.get('message') or '').strip().split('\n')[0]
        outcomes[name] = ('passed', '') if found is None else (OUTCOMES[found.tag], message)
    return outcomes
