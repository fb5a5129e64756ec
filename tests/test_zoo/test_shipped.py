# Copyright (c) The mmvc contributors. All rights reserved.
"""The weights in the folder ``weights`` of the repository: list, files, cards, and a model of each."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mmvc.apis import VideoSegInferencer
from mmvc.apis.loading import load_model
from mmvc.commands import demo
from mmvc.utils import safetensors_files
from mmvc.utils.checksums import file_digest
from mmvc.utils.config_names import find_config, read_models
from mmvc.utils.errors import UsageError
from mmvc.zoo import find_weights, find_weights_of, is_remote, model_table, resolve_checkpoint, shipped, shipped_models
from mmvc.zoo.catalogue import SHIPPED_WEIGHTS

ROOT = Path(__file__).resolve().parents[2]
NAME = 'dvispp_r18_camvid_segmenter'
ENTRIES = {entry['Name']: entry for entry in read_models(SHIPPED_WEIGHTS)}
MODELS = {model['Name']: model for model in read_models()}
each = pytest.mark.parametrize('name', ENTRIES)


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The package as a wheel installs it, without the folder ``weights``; the current folder is an empty one."""
    real = shipped.find_shipped
    monkeypatch.setattr(shipped, 'find_shipped', lambda path: None if path.startswith('weights') else real(path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_folder_is_listed():
    assert NAME in ENTRIES and list(ENTRIES) == sorted(ENTRIES)
    assert {path.parent.name for path in ROOT.glob('weights/*/*.safetensors')} == set(ENTRIES)


@each
def test_the_file_is_that_of_the_list(name):
    entry, folder = ENTRIES[name], ROOT / 'weights' / name
    assert set(entry) == {'Name', 'Results', 'Weights', 'Weights Details'} and name in MODELS
    details, path = entry['Weights Details'], folder / 'model.safetensors'
    assert entry['Weights'] == f'weights/{name}/model.safetensors' and details['Layout'] == 'mmvc'
    assert details['Checksum'] == f'sha256:{file_digest(path)}'
    assert details['Size'] == f'{path.stat().st_size / 1e6:.1f} MB' and path.stat().st_size < 13e6
    assert sorted(file.name for file in folder.iterdir()) == ['README.md', 'model.safetensors']
    row, = re.findall(rf'^\| `{name}` \|.*', (ROOT / 'docs/en/model_zoo.md').read_text(), re.MULTILINE)
    assert f'| {details["Size"]} |' in row


@each
def test_the_card_says_what_the_list_says(name):
    entry, (ours, ) = ENTRIES[name], MODELS[name]['Results']
    result, = entry['Results']
    assert (result['Task'], result['Dataset']) == (ours['Task'], ours['Dataset'])
    assert result['Metrics'] and result['Metrics'].keys() >= ours['Metrics'].keys()
    card = (ROOT / entry['Weights Details']['Seen In']).read_text()
    numbers = dict(re.findall(r'^\| (\w+) \| ([\d.]+) \|$', card, re.MULTILINE))
    assert {metric: float(numbers[metric]) for metric in result['Metrics']} == result['Metrics']
    licence = yaml.safe_load(card.split('---')[1])['license']
    assert entry['Weights Details']['Licence'].lower().replace(' ', '-').startswith(licence)
    assert f'--model {name}' in card and f"from_pretrained('weights/{name}')" in card and '## Data and limits' in card


@each
def test_names_are_found(name):
    weights, path = find_weights(name), ROOT / 'weights' / name / 'model.safetensors'
    assert weights.is_shipped and weights.scores == ENTRIES[name]['Results'][0]['Metrics']
    assert (weights.config, weights.stage) == (MODELS[name]['Config'], MODELS[name]['Stage'])
    assert resolve_checkpoint(name) == str(path) and is_remote(name)
    config = find_config(name)
    assert find_weights_of(config.path, config.stage).name == name


@each
def test_the_weights_fit_the_config(name):
    """Half precision is that of the file only, and the file describes itself as the config does."""
    path = ROOT / 'weights' / name / 'model.safetensors'
    model, cfg, meta = load_model(name)
    stored = safetensors_files.load(path)
    for key, value in model.state_dict().items():
        if value.is_floating_point():
            assert value.dtype == torch.float32
            assert stored['state_dict'][key].dtype == (torch.float16 if value.ndim > 1 else torch.float32)
        assert torch.equal(value, stored['state_dict'][key].to(value.dtype))
    alone, _, its_meta = load_model(None, str(path))
    assert type(alone) is type(model) and its_meta == meta
    assert stored['meta']['stage'] == MODELS[name]['Stage']


def test_a_street():
    """By its name, and by its file alone: sky above, road below."""
    frames = np.full((2, 96, 128, 3), 90, np.uint8)
    frames[:, :48] = (235, 215, 200)
    frames += np.random.default_rng(0).integers(0, 9, frames.shape, dtype=np.uint8)
    models = [VideoSegInferencer(NAME, device='cpu', show_progress=False),
              VideoSegInferencer.from_pretrained(ROOT / 'weights' / NAME, device='cpu', show_progress=False)]
    maps = [model(frames)[0].class_maps() for model in models]
    np.testing.assert_array_equal(*maps)
    classes = models[0].dataset_meta['classes']
    upper, lower = (np.bincount(part.ravel(), minlength=len(classes)) for part in (maps[0][:, :32], maps[0][:, 64:]))
    assert classes[upper.argmax()] == 'sky' and classes[lower.argmax()] in ('road', 'pavement')


def test_what_a_newcomer_reads(installed, monkeypatch):
    """Without a model: which ones need no network. There are none in an installation."""
    assert 'Without a network' not in error_of(load_model, None)
    monkeypatch.chdir(ROOT)
    assert f'{NAME} (trained on CamVid)' in error_of(load_model, None).split('Without a network: ')[1]
    assert f'Did you mean {NAME}' in error_of(resolve_checkpoint, f'{NAME[:-2]}r')
    message = error_of(resolve_checkpoint, f'checkpoints/{NAME}.pth')
    assert f'--weights {NAME} takes them from the repository' in message


def error_of(function, *arguments) -> str:
    with pytest.raises(UsageError) as caught:
        function(*arguments)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_a_clone_whose_package_is_installed_elsewhere(installed):
    """`pip install .` in a clone: the files are found in the current folder, if they are those of the list."""
    address = ENTRIES[NAME]['Weights']
    message = error_of(resolve_checkpoint, NAME)
    assert message.startswith(f'weights "{NAME}" are the file {address} of the repository')
    assert 'folder of a clone' in message and 'pip install -e' in message and '--weights' in message
    assert shipped_models() == [] and NAME not in demo.published_models()

    (installed / address).parent.mkdir(parents=True)
    shutil.copy(ROOT / address, address)
    assert resolve_checkpoint(NAME) == address and [weights.name for weights in shipped_models()] == [NAME]
    assert demo.published_models()[0] == NAME

    with open(address, 'r+b') as file:
        file.seek(-1, 2)
        file.write(b'?')
    message = error_of(resolve_checkpoint, NAME)
    assert 'does not fit' in message and f'git checkout -- {address}' in message


def test_the_table_says_where_the_file_is(installed, monkeypatch):
    def row():
        line, = (line for line in model_table().splitlines() if f' {NAME} ' in line)
        return [cell.strip() for cell in line.strip('|').split('|')]

    assert row()[-1] == 'weights/ (in a clone only)'
    monkeypatch.chdir(ROOT)
    assert row()[-1] == 'weights/ (here)' and row()[1:3] == ['VSS', 'CamVid'] and row()[3].startswith('mIoU 46.1')
    assert model_table().splitlines()[3].split()[1] in ENTRIES, 'what needs no network comes first'
    assert NAME not in model_table('camvid').split('no published weights')[-1]
