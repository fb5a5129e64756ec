# Copyright (c) The mmvc contributors. All rights reserved.
"""What a config of another OpenMMLab package gets by ``custom_imports = dict(imports=['mmvc'])``."""

import subprocess
import sys

import pytest

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
