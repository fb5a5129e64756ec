# Copyright (c) The mmvc contributors. All rights reserved.
import runpy
import sys
from pathlib import Path

import pytest

from mmvc.visualization import VideoSegLocalVisualizer

CONVERTERS = Path(__file__).parents[2] / 'tools/dataset_converters'


@pytest.fixture
def convert(monkeypatch):
    """Run a script of ``tools/dataset_converters`` as if from the command line; returns its exit status or message."""

    def run_script(name: str, *arguments):
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *map(str, arguments)])
        try:
            runpy.run_path(str(CONVERTERS / f'{name}.py'), run_name='__main__')
        except SystemExit as caught:
            return caught.code
        return 0

    return run_script


@pytest.fixture(autouse=True)
def fresh_visualizer():
    """Forget visualizers of earlier runs: mmengine names them by the second and would write to the older's folder."""
    VideoSegLocalVisualizer._instance_dict.clear()
