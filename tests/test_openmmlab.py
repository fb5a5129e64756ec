# Copyright (c) The mmvc contributors. All rights reserved.
"""When mmengine gets to know the package: at once where it is imported already, else with its import."""

import importlib
import importlib.util
import subprocess
import sys
import zipfile
from importlib.abc import MetaPathFinder

import pytest

from mmvc import openmmlab

FIRST = """
import sys, warnings; warnings.simplefilter('ignore')
import mmvc
assert not {'mmengine', 'torch', 'mmvc.registry'} & set(sys.modules)
import mmdet.models  # imports mmcv, and that mmengine; needs the substitute for compiled ops
from mmengine.registry import DATASETS
from mmengine.runner import CheckpointLoader
from mmvc.utils.checkpoint_loading import load_from_local
assert DATASETS.children['mmvc'] is mmvc.registry.DATASETS
assert CheckpointLoader._schemes[''] is load_from_local
"""


def test_a_script_that_imports_this_package_first():
    done = subprocess.run([sys.executable, '-c', FIRST], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def waiting(tmp_path, monkeypatch):
    """Wait for a package that stands for mmengine; returns what happened."""
    (tmp_path / 'slow_engine').mkdir()
    (tmp_path / 'slow_engine/__init__.py').write_text('READY = True\n')
    (tmp_path / 'slow_engine/config.py').write_text('')
    connected = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(openmmlab, '_MMENGINE', 'slow_engine')
    monkeypatch.setattr(openmmlab, 'connect', lambda: connected.append(sys.modules['slow_engine'].READY))
    monkeypatch.setattr(sys, 'meta_path', list(sys.meta_path))
    yield connected
    for name in ('slow_engine', 'slow_engine.config'):
        sys.modules.pop(name, None)


def test_it_waits_for_the_import(waiting):
    before = list(sys.meta_path)
    openmmlab.connect_when_needed()
    assert importlib.util.find_spec('slow_engine') is not None and waiting == []  # asking for it is no import
    importlib.import_module('slow_engine.config')
    assert waiting == [True] and sys.meta_path == before
    openmmlab.connect_when_needed()
    assert waiting == [True, True] and sys.meta_path == before, 'it is imported already'


def test_it_may_wait_twice(waiting):
    """After a reload of the package, or a second import of it."""
    before = list(sys.meta_path)
    openmmlab.connect_when_needed()
    openmmlab.connect_when_needed()
    assert importlib.util.find_spec('slow_engine') is not None
    importlib.import_module('slow_engine')
    assert set(waiting) == {True} and sys.meta_path == before


def test_a_finder_that_asks_all_others(waiting):
    """As those of packages that hook into imports themselves."""

    class Asking(MetaPathFinder):
        asked = False

        def find_spec(self, name, path=None, target=None):
            if name != 'slow_engine' or self.asked:
                return None
            self.asked = True
            return importlib.util.find_spec(name)

    sys.meta_path.insert(0, Asking())
    openmmlab.connect_when_needed()
    importlib.import_module('slow_engine')
    assert waiting == [True]


def test_a_zip_file(waiting, tmp_path):
    """One loader has all of its modules."""
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as archive:
        archive.writestr('slow_engine/__init__.py', 'from . import config; READY = True\n')
        archive.writestr('slow_engine/config.py', '')
    sys.path.insert(0, str(tmp_path / 'x.zip'))
    openmmlab.connect_when_needed()
    importlib.util.find_spec('slow_engine')
    importlib.import_module('slow_engine')
    assert waiting == [True]


def test_a_failure_is_tried_again(waiting, monkeypatch):

    def fail():
        raise ImportError('mmvc needs mmcv')

    connect = openmmlab.connect
    monkeypatch.setattr(openmmlab, 'connect', fail)
    openmmlab.connect_when_needed()
    with pytest.raises(ImportError, match='mmvc needs mmcv'):
        importlib.import_module('slow_engine')
    monkeypatch.setattr(openmmlab, 'connect', connect)
    importlib.import_module('slow_engine')
    assert waiting == [True]


def test_no_mmengine_at_all(waiting, monkeypatch):
    monkeypatch.setattr(openmmlab, '_MMENGINE', 'no_such_engine')
    openmmlab.connect_when_needed()
    with pytest.raises(ModuleNotFoundError, match='no_such_engine'):
        importlib.import_module('no_such_engine')
