# Copyright (c) The mmvc contributors. All rights reserved.
"""What `make lint` cannot see: which modules an import really executes."""
import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
from {0} import *
from mmvc.registry import DATASETS
if {0!r} == 'mmvc.datasets':
    DATASETS.get('VSPWDataset')
assert 'mmseg' not in sys.modules, 'it is slow to import, and only VSPWImageDataset needs it'
print(json.dumps([name for name in sys.modules if name.split(".")[0] == "mmvc"]))
"""


def modules_of(package: str) -> list:
    """Modules of the package that an import of all its names executes, in a process of its own."""
    command = [sys.executable, '-W', 'ignore', '-c', LOADED.format(package)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def test_models_load_without_the_rest_of_the_package():
    modules = modules_of('mmvc.models')
    assert len(modules) <= 105
    assert {name.split('.')[1] for name in modules if '.' in name} <= {
        'models', 'openmmlab', 'utils', 'registry', 'version'}


@pytest.mark.parametrize('package', ['datasets', 'evaluation', 'visualization'])
def test_neighbours_load_without_each_other(package):
    below = {package, 'formats', 'openmmlab', 'utils', 'registry', 'version'}
    assert {name.split('.')[1] for name in modules_of(f'mmvc.{package}') if '.' in name} <= below
