# Copyright (c) The mmvc contributors. All rights reserved.
"""Help and wrong arguments come at once: what takes seconds to import is imported after the arguments are read."""

import json
import subprocess
import sys

import pytest

from mmvc.commands.dispatch import COMMANDS
from tests.helpers.child_environment import ROOT, child_environment

HEAVY = {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'scipy', 'matplotlib', 'transformers', 'mmvc.engine'}
TOOLS = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob('tools/**/*.py'), *ROOT.glob('demo/*.py')])
#: what ends in an error of the arguments, without a look at a config
WRONG = [
    'mmvc trian', 'mmvc convert', 'mmvc segment', 'mmvc segment a.mp4 --formats overlya',
    'mmvc segment a.mp4 --size x', 'mmvc train', 'mmvc train no_such_config', 'mmvc train a.py --cfg-options x',
    'mmvc train a.py --accumulate 0', 'mmvc test a.py', 'mmvc test a.py b.pth --format-only --out c.json',
    'mmvc evaluate vds', 'mmvc check vspw', 'mmvc browse a.py --form strip',
    'mmvc convert annotations a b --format excel', 'mmvc convert coco a b --target c',
    'mmvc publish a.py b.pth --date today', 'mmvc synthetic a --preset none', 'mmvc demo --port 0'
]
# runs each line of the standard input as a command line, and prints its status, messages, and the packages so far
RUN_ALL = """
import contextlib, io, json, runpy, sys
def run(words):
    output, sys.argv = io.StringIO(), list(words)
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            if words[0] == 'mmvc':
                runpy.run_module('mmvc', run_name='__main__')
            else:
                runpy.run_path(words[0], run_name='__main__')
            status = 0
        except SystemExit as ended:
            status = ended.code
    return status, output.getvalue(), list(sys.modules)
print(json.dumps([run(line.split()) for line in sys.stdin]))
"""


@pytest.fixture(scope='module')
def runs():
    """Status, messages and imported modules of each command line, all run in one fresh process."""
    lines = ['mmvc --version', 'mmvc', 'mmvc --help', *(f'mmvc {name} --help' for name in COMMANDS),
             *(f'{tool} --help' for tool in TOOLS), *WRONG]
    done = subprocess.run([sys.executable, '-c', RUN_ALL], input='\n'.join(lines), cwd=ROOT, env=child_environment(),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(zip(lines, json.loads(done.stdout)))


def test_no_help_and_no_error_imports_what_takes_seconds(runs):
    """The modules stay imported, so the first command line that fails is the one to blame."""
    for line, (_, _, modules) in runs.items():
        assert not HEAVY & set(modules), line


def test_helps_are_printed(runs):
    for line, (status, output, _) in runs.items():
        if line.endswith('--help'):
            assert status == 0 and 'usage:' in output and len(output.splitlines()) > 5, (line, output)


@pytest.mark.parametrize('line', WRONG)
def test_wrong_arguments_are_refused(runs, line):
    status, output, _ = runs[line]
    assert status == 2 and 'error: ' in output


def test_spelling_hints_stay(runs):
    assert 'did you mean train?' in runs['mmvc trian'][1]
    assert 'overlay' in runs['mmvc segment a.mp4 --formats overlya'][1]
