# Copyright (c) The mmvc contributors. All rights reserved.
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers.child_environment import ROOT, child_environment

TOOLS = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob('tools/**/*.py'), *ROOT.glob('demo/*.py')])
#: stands for the seconds that imports take: the first one, and those after the arguments have been read
SLOW = """
import argparse, pathlib, sys, time
def wait():
    pathlib.Path(__file__).with_name('started').touch()
    time.sleep(60)
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmvc.version':
            wait()
def parse_args(self, args=None, namespace=None):
    wait()
if 'IN_MAIN' in __import__('os').environ:
    argparse.ArgumentParser.parse_args = parse_args
else:
    sys.meta_path.insert(0, Slow())
"""


def as_in_a_terminal():
    """A shell lets what it starts in the background ignore Ctrl-C, and pytest passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize('tool', [*TOOLS, '-m mmvc.apis', '-m mmvc', 'SCRIPT'])
def test_an_interruption_of_the_imports_is_quiet(tool, tmp_path):
    """They take seconds, so Ctrl-C after a typing error comes then."""
    (tmp_path / 'sitecustomize.py').write_text(SLOW)
    if tool == 'SCRIPT':  # as pip writes it
        tool = str(tmp_path / 'mmvc')
        (tmp_path / 'mmvc').write_text('from mmvc.commands.dispatch import main\nmain()\n')
    command = [sys.executable, *tool.split(), *(['train'] if tool.endswith('mmvc') else [])]
    environment = child_environment()
    environment['PYTHONPATH'] = f'{tmp_path}:{environment["PYTHONPATH"]}'
    for place in ({}, dict(IN_MAIN='1')):
        with subprocess.Popen(command, cwd=ROOT, env=dict(environment, **place), stderr=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal) as process:
            while not (tmp_path / 'started').exists() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate()
        assert (process.returncode, output, errors) == (-signal.SIGINT, '', '')
        (tmp_path / 'started').unlink()
