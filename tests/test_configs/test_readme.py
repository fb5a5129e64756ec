# Copyright (c) The mmvc contributors. All rights reserved.
"""What the README shows must work as it stands there."""

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvc.registry import DATASETS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def kitchen(tmp_path):
    """A dataset in the layout of the README's example, two videos of three frames."""
    root = tmp_path / 'data' / 'kitchen'
    rng = np.random.default_rng(0)
    for video in ('monday', 'tuesday'):
        for kind, suffix in (('frames', 'jpg'), ('labels', 'png')):
            (root / kind / video).mkdir(parents=True)
            for t in range(3):
                image = rng.integers(0, 256, (360, 480, 3)) if kind == 'frames' else rng.integers(0, 3, (360, 480))
                cv2.imwrite(str(root / kind / video / f'{t}.{suffix}'), image.astype(np.uint8))
    (root / 'train.txt').write_text('monday\n')
    (root / 'val.txt').write_text('tuesday\n')
    return root


def test_own_dataset(kitchen, tmp_path, monkeypatch):
    example = re.search(r"```python\n(_base_ = .*?)```", (ROOT / 'README.md').read_text(), re.DOTALL).group(1)
    assert len(example.splitlines()) <= 20
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    path = tmp_path / 'configs/mvc/dvispp_r18_kitchen_segmenter.py'
    path.write_text(example)
    cfg = Config.fromfile(str(path))
    monkeypatch.chdir(tmp_path)
    assert cfg.model.num_classes == 2
    with DefaultScope.overwrite_default_scope('mmvc'):
        train, val = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'val'))
    assert train.metainfo['classes'] == ('cup', 'table')
    frames = list(train[0]['data_samples'])
    assert {label for frame in frames for label in frame.gt_instances.labels.tolist()} == {0, 1}
    assert len(val[0]['data_samples']) == 3
