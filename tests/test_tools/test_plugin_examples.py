# Copyright (c) The mmvc contributors. All rights reserved.
"""The examples of configs/plugins/ that come with code: what their READMEs say, on few and small videos."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope

from mmvc.datasets.synthetic import SyntheticVideoConfig, make_synthetic_dataset
from mmvc.engine import load_config
from mmvc.registry import MODELS

ROOT = Path(__file__).parents[2]
SHORT = ('train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'train_dataloader.num_workers=0',
         'train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the configs and generated videos, as `make_synthetic.py data/synthetic` writes them."""
    config = SyntheticVideoConfig(size=(32, 64), num_frames=4, thing_radius=(0.2, 0.3))
    make_synthetic_dataset(tmp_path / 'data/synthetic', config, formats=('vspw', ), num_train=2, num_val=1)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(example: str) -> list[str]:
    """The blocks of commands in an example's README, without the one that generates videos."""
    text = (ROOT / f'configs/plugins/{example}/README.md').read_text()
    blocks = re.findall(r'```bash\n(.*?)```', text, re.DOTALL)
    generate = 'python tools/dataset_converters/make_synthetic.py data/synthetic\n'
    return [block.replace(generate, '') for block in blocks]


def arguments(block: str, tool: str) -> list[str]:
    """What a block of commands passes to a tool."""
    line, = (line for line in block.splitlines() if line.startswith(f'PYTHONPATH=. python tools/{tool}.py'))
    return shlex.split(line)[3:]


def test_own_dataset(run, folder):
    make_layout, use = commands('own_dataset')
    subprocess.run(['bash', '-euc', make_layout], check=True)
    assert len(list((folder / 'data/flat/images').iterdir())) == 3 * 4
    run('train', *arguments(use, 'train'), '--work-dir', folder / 'work', '--stage', 'segmenter', '--cfg-options',
        *SHORT)
    config, checkpoint = arguments(use, 'test')
    assert checkpoint == 'CHECKPOINT'
    run('test', config, folder / 'work/segmenter/iter_1.pth', '--stage', 'segmenter', '--work-dir', folder / 'work',
        '--out', folder / 'numbers.json', '--cfg-options', 'test_dataloader.num_workers=0')
    numbers = json.loads((folder / 'numbers.json').read_text())
    assert 0 <= numbers['vss/mIoU'] <= 100


def test_own_backbone(run, folder):
    use, = commands('own_backbone')
    run('train', *arguments(use, 'train'), '--work-dir', folder / 'work', '--stage', 'segmenter', 'online',
        '--cfg-options', *SHORT)
    model = torch.load(folder / 'work/online/iter_1.pth', weights_only=False)['state_dict']
    assert model['backbone.stages.3.1.conv.weight'].shape == (256, 256, 3, 3)
    summary = json.loads((folder / 'work/summary.json').read_text())
    assert all(0 <= summary[stage]['metrics']['vss/mIoU'] <= 100 for stage in ('segmenter', 'online'))
    refiner_stage = load_config('configs/plugins/own_backbone/dvispp_plainconv_synthetic.py').model
    init_default_scope('mmvc')
    assert MODELS.build(refiner_stage).load_state_dict(model, strict=False).unexpected_keys == []
