# Copyright (c) The mmvc contributors. All rights reserved.
import importlib.util
import sys
from pathlib import Path

import pytest

from tests.helpers.stopped_tool import Stopped

REPO = Path(__file__).parents[2]


@pytest.fixture
def run(monkeypatch, capsys, forget_runs):
    """Run a script of ``tools/``, or ``mmvc.apis``, as if from the command line; :class:`Stopped` tells its message.

    Any other exception but SystemExit, that is a traceback for the user, reaches the test.
    """
    modules = {}

    def run_tool(name: str, *arguments) -> None:
        if name not in modules:
            if name == 'mmvc.apis':
                modules[name] = importlib.import_module('mmvc.apis.cli')
            else:
                spec = importlib.util.spec_from_file_location(f'{Path(name).stem}_tool', REPO / f'tools/{name}.py')
                modules[name] = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(modules[name])
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        capsys.readouterr()
        forget_runs()
        try:
            modules[name].main()
        except SystemExit as caught:
            if caught.code:
                shown = capsys.readouterr()
                text = caught.code if isinstance(caught.code, str) else shown.err + shown.out
                raise Stopped(text) from caught

    return run_tool
