# Copyright (c) The mmvc contributors. All rights reserved.
"""What a config of another OpenMMLab package gets by ``custom_imports = dict(imports=['mmvc'])``."""

import subprocess
import sys
from pathlib import Path

import pytest

import mmvc
from mmvc import registry

FOREIGN = """
import sys
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from {scope}.registry import DATASETS as THEIRS
Config.fromstring("custom_imports = dict(imports=['mmvc'])", '.py')
assert 'mmvc.datasets' not in sys.modules and 'mmvc.models' not in sys.modules
with DefaultScope.overwrite_default_scope('{scope}'):
    for registry in (THEIRS, DATASETS):
        print(registry.get('mmvc.{name}').__module__)
"""


@pytest.mark.parametrize('scope, name, module', [('mmseg', 'VSPWImageDataset', 'vspw_image'),
                                                 ('mmdet', 'YouTubeVISDataset', 'youtube_vis')])
def test_one_import_is_enough(scope, name, module):
    pytest.importorskip(scope)
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', FOREIGN.format(scope=scope, name=name)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-2:] == [f'mmvc.datasets.{module}'] * 2


def test_every_module_with_a_dataset_is_known():
    """mmengine imports these modules, and no others, when it looks for a dataset."""
    folder = Path(mmvc.__file__).parent / 'datasets'
    with_datasets = {path.stem for path in folder.glob('*.py') if '@DATASETS.register_module' in path.read_text()}
    assert with_datasets and with_datasets == {*registry._DATASET_MODULES, 'vspw_image'}  # on demand, for mmseg
