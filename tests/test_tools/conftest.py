# Copyright (c) The mmvc contributors. All rights reserved.
import importlib.util
import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture
def convert(monkeypatch):
    """Run a script of ``tools/dataset_converters`` as if from the command line; returns its exit status or message."""

    def run_script(name: str, *arguments):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        try:
            runpy.run_path(str(TOOLS / f'dataset_converters/{name}.py'), run_name='__main__')
        except SystemExit as caught:
            return caught.code
        return 0

    return run_script


@pytest.fixture
def run(monkeypatch, forget_runs):
    """Run a tool as if from the command line, in this process."""

    def run_tool(name: str, *arguments) -> None:
        spec = importlib.util.spec_from_file_location(f'{name}_tool', TOOLS / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        forget_runs()
        module.main()

    return run_tool
