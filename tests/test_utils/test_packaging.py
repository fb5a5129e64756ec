# Copyright (c) The mmvc contributors. All rights reserved.
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import mmvc

ROOT = Path(__file__).parents[2]


def _names(file):
    lines = (ROOT / 'requirements' / file).read_text().splitlines()
    return [re.match(r'[\w-]+', line).group() for line in lines if re.match(r'\w', line)]


def test_mmvc_itself_requires_neither_stack_nor_torch():
    assert _names('runtime.txt')
    for name in _names('runtime.txt'):
        assert not re.match(r'torch|mm|onedl|timm', name), name


@pytest.mark.parametrize('file', ['mminstall.txt', 'mminstall-classic.txt'])
def test_each_stack_is_complete_and_pinned(file):
    text = (ROOT / 'requirements' / file).read_text()
    for package in ('mmengine', 'mmcv', 'mmdet', 'mmseg'):
        assert re.search(rf'^(onedl-)?{package}[\w-]*==\d', text, re.MULTILINE), package


def test_a_build_has_the_list_of_shipped_weights_but_not_the_weights(tmp_path):
    """They would make everybody's installation larger; the list lets an installation say where they are."""
    # an import would fail if another test has imported the distutils of Python before
    if find_spec('setuptools') is None:
        pytest.skip('setuptools is not installed')
    subprocess.run([sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', tmp_path], cwd=ROOT, check=True,
                   capture_output=True)
    files = [path.relative_to(tmp_path) for path in tmp_path.rglob('*') if path.is_file()]
    assert Path('mmvc/.mim/configs/shipped_weights.yml') in files and Path('mmvc/zoo/shipped.py') in files
    assert not [path for path in files if path.suffix in ('.safetensors', '.pth') or 'weights' in path.parts]
    assert 'prune weights' in (ROOT / 'MANIFEST.in').read_text().splitlines(), 'the source archive'


def test_version():
    assert re.fullmatch(r'\d+\.\d+\.\d+', mmvc.__version__)
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == mmvc.__version__
    assert f'## {mmvc.__version__} ' in (ROOT / 'docs/en/changelog.md').read_text()
