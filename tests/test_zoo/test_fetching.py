# Copyright (c) The mmvc contributors. All rights reserved.
"""From an address to a checkpoint of a model here: downloaded once, checked, converted once."""

import hashlib
import io
import multiprocessing
import os
import pickle
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmvc.registry import MODELS
from mmvc.utils.checkpoint_loading import load_from_local
from mmvc.utils.errors import UsageError
from mmvc.zoo import conversion, fetch, fetching, find_weights, is_remote, resolve_checkpoint
from tests.helpers.hub_server import COMMIT, hub_server
from tests.helpers.published import official_file, publish, use_own_cache

REPO, NAME = 'someone/models', 'weights/offline.pth'
PINNED = f'hf://{REPO}@{COMMIT}/{NAME}'


@pytest.fixture(scope='module')
def content():
    return official_file()


@pytest.fixture
def hub(monkeypatch, tmp_path, content):
    with hub_server() as server:
        use_own_cache(monkeypatch, tmp_path, server.url)
        monkeypatch.setattr(time, 'sleep', lambda seconds: None)
        server.files[REPO, NAME] = content
        yield server


@pytest.fixture
def logged(monkeypatch):
    lines = []
    for module in (fetching, conversion):
        monkeypatch.setattr(module, 'print_log', lambda message, *args, **kwargs: lines.append(message))
    return lines


def build(data_dir):
    init_default_scope('mmvc')
    return MODELS.build(Config.fromfile(data_dir / 'modules/e2e_tiny_config.py').model)


@pytest.mark.parametrize('address', [PINNED, f'hf://{REPO}/{NAME}', 'https'])
def test_official_weights_by_name(hub, monkeypatch, tmp_path, data_dir, logged, content, address):
    if address == 'https':
        address, hub.files['/files/offline.pth'] = f'{hub.url}/files/offline.pth', content
    publish(monkeypatch, 'tiny_offline', address, Checksum=f'sha256:{hashlib.sha256(content).hexdigest()}')
    path = resolve_checkpoint('tiny_offline')
    assert Path(path).is_relative_to(tmp_path / 'mmvc') and path.endswith('.safetensors')
    checkpoint = load_from_local(path)
    build(data_dir).load_state_dict(checkpoint['state_dict'])  # strict
    meta = checkpoint['meta']
    assert (meta['source'], meta['licence'], meta['converted_from']) == (address, 'MIT', 'DVIS++ offline')
    assert meta['source_sha256'] == hashlib.sha256(content).hexdigest()
    assert logged[-1] == f'weights "tiny_offline": from {address}, licence MIT; cached as "{path}"'

    assert resolve_checkpoint('tiny_offline') == path and len(hub.downloads()) == 1
    assert sum(line.startswith('converting') for line in logged) == 1
    assert [file.name for file in Path(path).parent.iterdir()] == ['model.safetensors']
    assert is_remote('tiny_offline') and not is_remote(path)


def test_a_pickle_of_detectron2(hub, monkeypatch, content):
    """As the start weights of Facebook: arrays in a pickle, whose name contains the beginning of its MD5 sum."""
    weights = torch.load(io.BytesIO(content))['model']
    arrays = {name: value.numpy() for name, value in weights.items() if not name.startswith(('tracker', 'refiner'))}
    pickled = pickle.dumps(dict(model=arrays, __author__='someone'))
    hub.files['/model_final.pkl'] = pickled
    address = f'{hub.url}/model_final.pkl'
    publish(monkeypatch, 'tiny_start', address, Checksum=f'md5:{hashlib.md5(pickled).hexdigest()[:6]}',
            Options=dict(drop_class_head=True))
    names = set(load_from_local(resolve_checkpoint('tiny_start'))['state_dict'])
    assert 'head.query_feat.weight' in names and 'head.cls_embed.weight' not in names
    assert 'head.cls_embed.weight' in load_from_local(resolve_checkpoint(address))['state_dict']
    assert len(hub.downloads()) == 1


def test_keys_in_addresses_are_not_shown(hub, content, logged):
    hub.files['/offline.pth'] = content
    address = f'{hub.url}/offline.pth?token=sesame'
    meta = load_from_local(resolve_checkpoint(address))['meta']
    with pytest.raises(UsageError) as caught:
        resolve_checkpoint(f'{hub.url}/nothing.pth?token=sesame')
    assert 'sesame' not in str(meta) + str(logged) + str(caught.value)


def test_a_branch_that_moves(hub, monkeypatch):
    publish(monkeypatch, 'tiny_offline', f'hf://{REPO}/{NAME}')
    first = resolve_checkpoint('tiny_offline')
    hub.commit = COMMIT[::-1]
    assert resolve_checkpoint('tiny_offline') != first


def test_options_of_the_conversion(hub, monkeypatch):
    publish(monkeypatch, 'tiny_offline', PINNED)
    whole = resolve_checkpoint('tiny_offline')
    publish(monkeypatch, 'tiny_offline', PINNED, Options=dict(drop_class_head=True))
    start = resolve_checkpoint('tiny_offline')
    names = [set(load_from_local(path)['state_dict']) for path in (whole, start)]
    assert 'head.cls_embed.weight' in names[0] - names[1] and names[1] < names[0]


@pytest.mark.parametrize('damage', ['another file', 'on the way'])
def test_changed_content(hub, monkeypatch, content, damage):
    checksum = {}
    if damage == 'another file':
        checksum = dict(Checksum='sha256:00000000')
    else:
        hub.damage[REPO, NAME] = content[:-1] + b'x'
    publish(monkeypatch, 'tiny_offline', PINNED, **checksum)
    with pytest.raises(UsageError) as caught:
        resolve_checkpoint('tiny_offline')
    message = str(caught.value)
    assert '\n' not in message and message.startswith(f'weights "tiny_offline": the file from {PINNED} is not the one')
    blob = message.split('Delete "')[1].split('"')[0]
    os.remove(blob)
    hub.damage.clear()
    publish(monkeypatch, 'tiny_offline', PINNED)
    assert os.path.isfile(resolve_checkpoint('tiny_offline'))


def test_changed_content_by_https(hub, monkeypatch, tmp_path, content):
    hub.files['/offline.pth'] = content
    publish(monkeypatch, 'tiny_offline', f'{hub.url}/offline.pth', Checksum='md5:000000')
    with pytest.raises(UsageError, match='^weights "tiny_offline": .*/offline.pth" has not the expected checksum'):
        resolve_checkpoint('tiny_offline')
    assert not list((tmp_path / 'torch/checkpoints').iterdir())


def test_a_file_that_cannot_be_converted(hub, monkeypatch, tmp_path):
    torch.save(dict(model={'sem_seg_head.strange': torch.zeros(3)}), tmp_path / 'made.pth')
    hub.files[REPO, NAME] = (tmp_path / 'made.pth').read_bytes()
    publish(monkeypatch, 'tiny_offline', PINNED)
    with pytest.raises(UsageError, match=f'^{PINNED} cannot be converted: .*unknown backbone'):
        resolve_checkpoint('tiny_offline')


def test_a_broken_transfer_by_https(hub, monkeypatch, content):
    """What has come is kept for the next call."""
    hub.files['/offline.pth'] = content
    publish(monkeypatch, 'tiny_offline', f'{hub.url}/offline.pth')
    hub.breaks[:] = [100_000] + 10 * [0]
    with pytest.raises(UsageError, match='weights "tiny_offline": .*cannot be downloaded: 100000 of'):
        resolve_checkpoint('tiny_offline')
    hub.breaks.clear()
    hub.requests.clear()
    assert os.path.isfile(resolve_checkpoint('tiny_offline'))
    assert hub.requests == ['GET /offline.pth bytes=100000-']


def test_offline(hub, monkeypatch, content):
    hub.files['/offline.pth'] = content
    publish(monkeypatch, 'tiny_offline', PINNED)
    path = resolve_checkpoint('tiny_offline')
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    before = len(hub.requests)
    assert resolve_checkpoint('tiny_offline') == path
    for address in (f'hf://{REPO}@{COMMIT}/other.pth', f'{hub.url}/offline.pth'):
        publish(monkeypatch, 'tiny_offline', address)
        with pytest.raises(UsageError, match='^weights "tiny_offline": .*HF_HUB_OFFLINE'):
            resolve_checkpoint('tiny_offline')
    assert len(hub.requests) == before


def test_addresses(hub, content, tmp_path):
    """Addresses that no catalogue names: a model of other code is converted, one of this code is left as it is."""
    official = resolve_checkpoint(f'hf://{REPO}/{NAME}')
    assert load_from_local(official)['meta']['converted_from'] == 'DVIS++ offline'
    own = tmp_path / 'own.pth'
    torch.save(dict(meta=dict(cfg='model = 1'), state_dict={'head.cls_embed.weight': torch.zeros(3)}), own)
    hub.files[REPO, 'own.pth'] = hub.files['/own.pth'] = own.read_bytes()
    for address in (f'hf://{REPO}/own.pth', f'{hub.url}/own.pth'):
        path = resolve_checkpoint(address)
        assert Path(path).read_bytes() == own.read_bytes() and is_remote(address)
    assert resolve_checkpoint('s3://bucket/own.pth') == 's3://bucket/own.pth'


def test_layout_of_this_package(hub, monkeypatch, tmp_path):
    torch.save(dict(state_dict={'head.cls_embed.weight': torch.zeros(3)}), tmp_path / 'own.pth')
    hub.files[REPO, NAME] = (tmp_path / 'own.pth').read_bytes()
    publish(monkeypatch, 'tiny_offline', PINNED, Layout='mmvc')
    assert fetch(find_weights('tiny_offline')).read_bytes() == hub.files[REPO, NAME]
    publish(monkeypatch, 'tiny_offline', PINNED, Layout='mmvc', Checksum='sha256:00000000')
    with pytest.raises(UsageError, match='is not the one that was published'):
        resolve_checkpoint('tiny_offline')


@pytest.mark.parametrize('name, message', [
    ('nothing.pth', 'checkpoint "nothing.pth" does not exist: give a file, an address, or a name that '
     '"mmvc models" lists'),
    ('dvispp_r50_vspw_onlin', r'Did you mean dvispp_r50_vspw_online or'),
    ('checkpoints/mask2former_r50_coco-panoptic.pth',
     r'There are published weights of this name: --weights mask2former_r50_coco_panoptic downloads them$'),
    ('checkpoints/pmt/pmt_vitl_dinov3_vspw_segmenter.pth',
     r'There are published weights of this name: --weights pmt_vitl_dinov3_vspw_segmenter downloads them$'),
    ('mvc_dvispp_r50_vspw_online', 'does not exist'),
    ('.', r'"\." is a folder without model\.safetensors: give the checkpoint file in it'),
])
def test_unknown_names(name, message):
    with pytest.raises(UsageError, match=message) as caught:
        resolve_checkpoint(name)
    assert '\n' not in str(caught.value) and not is_remote(name)


def test_paths(tmp_path, monkeypatch):
    """A file wins over a name."""
    (tmp_path / 'dvispp_r50_vspw_online').write_bytes(b'x')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    assert resolve_checkpoint('dvispp_r50_vspw_online') == 'dvispp_r50_vspw_online'
    assert resolve_checkpoint('~/dvispp_r50_vspw_online') == str(tmp_path / 'dvispp_r50_vspw_online')
    assert not is_remote('dvispp_r50_vspw_online')


def test_two_processes_at_once(hub, monkeypatch):
    """One downloads and converts, the other waits for it."""
    context = multiprocessing.get_context('fork')
    start, results, lines = context.Barrier(2), context.SimpleQueue(), context.SimpleQueue()
    monkeypatch.setattr(conversion, 'print_log', lambda message, *args: lines.put(message))

    def run():
        start.wait()
        results.put(resolve_checkpoint(PINNED))

    processes = [context.Process(target=run) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    paths = {results.get() for _ in processes}
    assert len(paths) == 1 and len(hub.downloads()) == 1
    assert lines.get().startswith('converting') and lines.empty()
    folder = Path(*paths).parent
    assert [file.name for file in folder.iterdir()] == ['model.safetensors']
    assert [file.name for file in folder.parent.iterdir()] == [folder.name]
