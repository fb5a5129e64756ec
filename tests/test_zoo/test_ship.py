# Copyright (c) The mmvc contributors. All rights reserved.
"""The script that puts weights into the folder ``weights``: what it runs, and what it writes."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/mvc/dvispp_r18_synthetic.py'
NAME = 'mvc_dvispp_r18_synthetic_online'


@pytest.fixture
def ship(monkeypatch, tmp_path):
    """The script in a repository of its own, with commands that write what the real ones write."""
    spec = importlib.util.spec_from_file_location('ship', ROOT / 'weights/ship.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls = []

    def run(command, config, checkpoint, *arguments):
        words = [command, Path(config).name, Path(checkpoint).name, *map(str, arguments)]
        module.calls.append(words)
        if command == 'publish':
            folder = tmp_path / arguments[0]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / 'model.safetensors').write_bytes(b'0' * 1_250_000)
            notes = Path(words[words.index('--notes') + 1]).read_text() if '--notes' in words else ''
            (folder / 'README.md').write_text(notes)
            return
        is_half = checkpoint.suffix == '.safetensors'
        out_dir, out = (Path(words[words.index(option) + 1]) for option in ('--out-dir', '--out'))
        labels = np.zeros((10, 20), np.uint8)
        labels[0, :is_half] = 1
        (out_dir / 'a').mkdir(parents=True)
        cv2.imwrite(str(out_dir / 'a/0.png'), labels)
        out.write_text(json.dumps({'vss/mIoU': 80 + is_half / 8, 'vss/VC8': 90.0, 'vss/VC16': 85.0, 'vss/aAcc': 1.0}))

    monkeypatch.setattr(module, 'mmvc', run)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / 'own').mkdir()
    monkeypatch.setattr(module, 'CATALOGUE', tmp_path / 'own/shipped_weights.yml')
    monkeypatch.chdir(tmp_path)
    return module


def entries(folder):
    models = yaml.safe_load((folder / 'own/shipped_weights.yml').read_text())['Models']
    return {model['Name']: model for model in models}


def test_what_is_written(ship, tmp_path):
    ship.main([CONFIG, 'iter_350.pth', '--stage', 'online', '--note', 'A trial.', '--data-root', 'videos'])
    entry, = entries(tmp_path).values()
    result, = entry['Results']
    assert entry['Name'] == NAME and entry['Weights'] == f'weights/{NAME}/model.safetensors'
    assert result['Metrics'] == dict(mIoU=80.12, VC8=90.0, VC16=85.0), 'of the file, not of the checkpoint'
    details = entry['Weights Details']
    assert details['Size'] == '1.2 MB' and details['Licence'] == 'Apache-2.0' and len(details['Checksum']) == 71
    notes = (tmp_path / details['Seen In']).read_text()
    assert f'--model {NAME}' in notes and 'A trial.' in notes and '**It knows only these generated classes.**' in notes
    assert 'in float32 they are mIoU 80.00, VC8 90.00, VC16' in notes and '0.500 % of the labels' in notes
    assert max(map(len, notes.splitlines())) <= 120

    assert [call[:3] for call in ship.calls] == [
        ['publish', 'dvispp_r18_synthetic.py', 'iter_350.pth'], ['test', 'dvispp_r18_synthetic.py', 'iter_350.pth'],
        ['test', 'dvispp_r18_synthetic.py', 'model.safetensors'],
        ['publish', 'dvispp_r18_synthetic.py', 'iter_350.pth']]
    assert all('online' in call for call in ship.calls)
    assert [str(tmp_path / 'videos') in call for call in ship.calls] == [False, True, True, False]
    assert all('--half' in call and '--folder' in call for call in ship.calls if call[0] == 'publish')


def test_entries_are_replaced(ship, tmp_path):
    """The last stage is the default; other models stay in the list."""
    for stage in ([], ['--stage', 'online'], []):
        ship.main([CONFIG, 'iter_350.pth', *stage])
    assert list(entries(tmp_path)) == [NAME.replace('online', 'offline'), NAME]


@pytest.mark.parametrize('arguments, message', [
    (['configs/mvc/dvispp_r18_synthetic.py', 'a.pth', '--stage', 'last'], 'no metafile lists the stage last'),
    (['configs/dvispp/dvispp_r50_vspw.py', 'a.pth'], 'the licence of weights from VSPW is not known here'),
])
def test_what_cannot_be_shipped(ship, arguments, message):
    with pytest.raises(SystemExit, match=message):
        ship.main(arguments)
    assert ship.calls == []
