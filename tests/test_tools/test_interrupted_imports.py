# Copyright (c) The mmvc contributors. All rights reserved.
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.child_environment import ROOT, child_environment

TOOLS = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob('tools/**/*.py'), *ROOT.glob('demo/*.py')])


def as_in_a_terminal():
    """A shell lets what it starts in the background ignore Ctrl-C, and pytest passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize('tool', [*TOOLS, '-m mmvc.apis', '-m mmvc', 'SCRIPT'])
def test_an_interruption_of_the_imports_is_quiet(tool, tmp_path):
    """They take seconds, so Ctrl-C after a typing error comes then."""
    (tmp_path / 'sitecustomize.py').write_text('import pathlib\npathlib.Path(__file__).with_name("started").touch()\n')
    if tool == 'SCRIPT':  # as pip writes it
        tool = str(tmp_path / 'mmvc')
        (tmp_path / 'mmvc').write_text('from mmvc.commands.dispatch import main\nmain()\n')
    environment = child_environment()
    environment['PYTHONPATH'] = f'{tmp_path}:{environment["PYTHONPATH"]}'
    with subprocess.Popen([sys.executable, *tool.split(), '--help'], cwd=ROOT, env=environment, stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal) as process:
        while not (tmp_path / 'started').exists():
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert (process.returncode, output, errors) == (-signal.SIGINT, '', '')
