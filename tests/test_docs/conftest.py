# Copyright (c) The mmvc contributors. All rights reserved.
import argparse
import os
import runpy
import sys
from pathlib import Path

import pytest

from tests.helpers.doc_commands import ROOT, Command
from tests.helpers.reduced import TRAINING, WORK_DIR, write_folder


class Parsed(Exception):
    """Ends a script when it has read its arguments, which it carries."""


@pytest.fixture(scope='session')
def run_script(forget_runs):
    """Run a Python command in this process, as if from the command line; a failure ends the test with what it says."""

    def run(command: Command) -> None:
        forget_runs()
        words = list(command.words[1:])
        with pytest.MonkeyPatch.context() as patch:
            for name, value in command.environment.items():
                patch.setenv(name, value)
            try:
                if words[0] == '-c':
                    exec(words[1], {})
                elif words[0] == '-m':
                    patch.setattr(sys, 'argv', words[1:])
                    runpy.run_module(words[1], run_name='__main__')
                else:
                    patch.setattr(sys, 'argv', words)
                    runpy.run_path(str(ROOT / words[0]), run_name='__main__')
            except SystemExit as caught:
                if caught.code:
                    pytest.fail(f'{command.page}:{command.line}: {command.text}\n{caught.code}', pytrace=False)

    return run


@pytest.fixture
def parse(run_script, monkeypatch):
    """Let a Python command read its arguments, and go no further; returns them."""
    real = argparse.ArgumentParser.parse_args

    def stop(parser, *args, **kwargs):
        raise Parsed(real(parser, *args, **kwargs))

    def run(command: Command) -> argparse.Namespace:
        monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
        with pytest.raises(Parsed) as caught:
            run_script(command)
        return caught.value.args[0]

    return run


@pytest.fixture(scope='session')
def reduced_folder(tmp_path_factory, run_script) -> Path:
    """Generated data, configs in miniature, and weights: the documented training, run in it."""
    root = tmp_path_factory.mktemp('reduced')
    write_folder(root)
    before = os.getcwd()
    os.chdir(root)
    try:
        run_script(Command('the fixture', 0, TRAINING, {}, (), False))
    finally:
        os.chdir(before)
    return root


@pytest.fixture
def here(reduced_folder, tmp_path, monkeypatch) -> Path:
    """The current folder of a test: what is in the reduced folder is there, what is written stays here."""
    for path in reduced_folder.iterdir():
        if path.name == 'work_dirs':
            (tmp_path / WORK_DIR).parent.mkdir(parents=True)
            (tmp_path / WORK_DIR).symlink_to(reduced_folder / WORK_DIR)
        else:
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
