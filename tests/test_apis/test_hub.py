# Copyright (c) The mmvc contributors. All rights reserved.
"""Models shared as a folder, and through a small server that speaks the protocol of the Hugging Face Hub."""

import sys

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from mmvc.apis import VideoSegInferencer
from mmvc.utils.errors import UsageError
from tests.helpers.hub_repositories import TOKEN, serve_hub
from tests.helpers.published import use_endpoint
from tests.helpers.tiny_inference import CLASSES, tiny_config, vivid_model

FRAMES = [np.full((64, 96, 3), 40 * index, np.uint8) for index in range(3)]
OPTIONS = dict(device='cpu', show_progress=False)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.delenv('MMVC_TRUST_CHECKPOINTS', raising=False)
    with serve_hub(monkeypatch, str(tmp_path / 'cache')) as server:
        yield server


@pytest.fixture
def inferencer(make_inferencer):
    return make_inferencer('DVISOnline')


def same(one, other):
    return all(np.array_equal(ours.sem_seg, theirs.sem_seg)
               for ours, theirs in zip(one.stream(FRAMES), other.stream(FRAMES), strict=True))


def header(card):
    return yaml.safe_load(card.split('---')[1])


@pytest.mark.parametrize('stage, task', [('MinVIS', 'vss'), ('DVISOnline', 'vps'), ('DVISOffline', 'vis')])
def test_a_folder(make_inferencer, tmp_path, stage, task):
    inferencer = make_inferencer(stage, task)
    folder = inferencer.save_pretrained(tmp_path / 'out/street', license='cc-by-4.0')
    assert sorted(path.name for path in folder.iterdir()) == ['README.md', 'model.safetensors']
    assert (folder / 'model.safetensors').stat().st_mode == (folder / 'README.md').stat().st_mode
    assert repr(inferencer).startswith(f'VideoSegInferencer({stage}, {task}, ') and '\n' not in repr(inferencer)
    assert VideoSegInferencer(weights=str(folder), **OPTIONS).task == task, 'a folder is a checkpoint'
    assert str(tmp_path).encode() not in (folder / 'model.safetensors').read_bytes()
    found = VideoSegInferencer.from_pretrained(folder, **OPTIONS)
    assert (found.task, found.dataset_meta) == (task, inferencer.dataset_meta)
    for ours, theirs in zip(inferencer.stream(FRAMES, online=False), found.stream(FRAMES, online=False), strict=True):
        np.testing.assert_array_equal(ours.id_map(), theirs.id_map())
    card = (folder / 'README.md').read_text()
    assert header(card)['license'] == 'cc-by-4.0' and header(card)['library_name'] == 'mmvc'
    name = dict(vss='semantic', vps='panoptic', vis='instance')[task]
    assert f'video-{name}-segmentation' in header(card)['tags'] and f'video {name} segmentation' in card
    assert '`class0`, `class1`' in card and f'## Classes ({len(CLASSES)})' in card and stage in card
    assert f"from_pretrained('{folder}')" in card


def test_weights_are_those_of_the_checkpoint(tmp_path):
    """Not those of the inferencer, whose batch norms are folded."""
    cfg = tiny_config('DVISOnline')
    weights = vivid_model(cfg).state_dict()
    torch.save(dict(state_dict=weights), tmp_path / 'own.pth')
    folder = VideoSegInferencer(cfg, str(tmp_path / 'own.pth'), **OPTIONS).save_pretrained(tmp_path / 'out')
    found = load_file(folder / 'model.safetensors')
    assert found.keys() == weights.keys() and all(torch.equal(value, found[name]) for name, value in weights.items())


def test_an_existing_card_is_kept(inferencer, tmp_path):
    (tmp_path / 'README.md').write_text('mine')
    inferencer.save_pretrained(tmp_path)
    assert (tmp_path / 'README.md').read_text() == 'mine'


def test_what_cannot_be_saved(inferencer, make_inferencer, tmp_path):
    with pytest.raises(UsageError, match='license must be an identifier such as apache-2.0.*"Apache License"'):
        inferencer.save_pretrained(tmp_path / 'out', license='Apache License')
    with pytest.raises(UsageError, match='the weights of this model are random'):
        make_inferencer(weights=None).save_pretrained(tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_folders_and_names_that_are_no_models(tmp_path):
    with pytest.raises(UsageError, match='has no file model.safetensors'):
        VideoSegInferencer.from_pretrained(tmp_path)
    for name in (tmp_path / 'absent', 'a/b/c', 'https://huggingface.co/a/b', '../x y'):
        with pytest.raises(UsageError, match='is no folder, and no repository of the hub'):
            VideoSegInferencer.from_pretrained(name)
    with pytest.raises(UsageError, match='there is no folder "stret": correct its path; a repository .* user/stret'):
        VideoSegInferencer.from_pretrained('stret')
    with pytest.raises(UsageError, match='takes no weights'):
        VideoSegInferencer.from_pretrained(tmp_path, weights='x.pth')


def test_push_and_load(inferencer, hub):
    address = inferencer.push_to_hub('street', license='apache-2.0', private=True, token=TOKEN)
    repository = hub.repositories['alice/street']  # with the name of the user
    assert repository.private and address == f'{hub.url}/alice/street/commit/{repository.commit_of("main")}'
    files = repository.revisions['main']
    assert set(files) == {'README.md', 'model.safetensors'} and len(repository.lfs) == 1
    card = files['README.md'].decode()
    assert header(card)['license'] == 'apache-2.0' and "from_pretrained('alice/street')" in card
    found = VideoSegInferencer.from_pretrained('alice/street', token=TOKEN, **OPTIONS)
    assert same(inferencer, found) and found.dataset_meta == inferencer.dataset_meta


def test_a_new_version_keeps_the_card_and_the_old_one(inferencer, make_inferencer, hub):
    inferencer.push_to_hub('alice/street', token=TOKEN)
    repository = hub.repositories['alice/street']
    first = repository.commit_of('main')
    repository.revisions['v1'] = dict(repository.revisions['main'])
    repository.revisions['main']['README.md'] = b'written by hand'
    other = make_inferencer('MinVIS')
    other.push_to_hub('alice/street', token=TOKEN, license='mit', commit_message='Another model')
    assert repository.revisions['main']['README.md'] == b'written by hand'
    assert repository.messages[-1] == 'Another model'
    for revision, expected in ((None, other), ('v1', inferencer), (first, inferencer)):
        found = VideoSegInferencer.from_pretrained('alice/street', revision=revision, **OPTIONS)
        assert type(found.model) is type(expected.model)


def test_branches_and_pull_requests(inferencer, hub):
    inferencer.push_to_hub('alice/street', token=TOKEN)
    repository = hub.repositories['alice/street']
    repository.revisions['main'].clear()
    repository.revisions['next'] = {}
    inferencer.push_to_hub('alice/street', token=TOKEN, revision='next')
    assert 'model.safetensors' in repository.revisions['next'] and not repository.revisions['main']
    address = inferencer.push_to_hub('alice/street', token=TOKEN, create_pr=True)
    assert address == f'{hub.url}/alice/street/discussions/1' and not repository.revisions['main']
    assert 'model.safetensors' in repository.revisions['refs/pr/1']


def test_the_cache_is_used_without_the_hub(inferencer, hub, tmp_path, monkeypatch):
    inferencer.push_to_hub('alice/street', token=TOKEN)
    for folder in (None, tmp_path / 'another'):
        VideoSegInferencer.from_pretrained('alice/street', cache_dir=folder, **OPTIONS)
    assert len([request for request in hub.requests if request.startswith('GET') and 'model.safe' in request]) == 2
    hub.requests.clear()
    VideoSegInferencer.from_pretrained('alice/street', local_files_only=True, **OPTIONS)
    monkeypatch.setattr(sys.modules['huggingface_hub.constants'], 'HF_HUB_OFFLINE', True)
    VideoSegInferencer.from_pretrained('alice/street', **OPTIONS)
    assert not hub.requests
    with pytest.raises(UsageError, match='cannot get model.safetensors of "alice/other": it is not in the cache'):
        VideoSegInferencer.from_pretrained('alice/other', **OPTIONS)


def test_what_the_hub_does_not_give(inferencer, hub):
    inferencer.push_to_hub('alice/street', token=TOKEN)
    repository = hub.repositories['alice/street']

    def error(name='alice/street', **kwargs):
        with pytest.raises(UsageError) as caught:
            VideoSegInferencer.from_pretrained(name, **OPTIONS, **kwargs)
        assert '\n' not in str(caught.value)
        return str(caught.value)

    assert 'no such repository, or it is private: check the name, or log in' in error('alice/none')
    assert 'it has no branch, tag or commit "v9"' in error(revision='v9')
    repository.private = True
    assert 'no such repository, or it is private' in error(force_download=True)
    repository.private, repository.gated = False, True
    assert 'its owner gives access on request' in error(force_download=True)
    repository.gated = False
    repository.revisions['main'] = {'model.pth': b''}
    assert 'it has no file model.safetensors' in error(force_download=True)
    repository.revisions['main'] = {'model.safetensors': b'<html>'}
    assert 'is a web page, not a checkpoint' in error(force_download=True)


def test_uploads_that_are_refused(inferencer, hub, monkeypatch):
    for name, token in (('street', None), ('street', 'hf_wrong'), ('bob/street', TOKEN)):
        with pytest.raises(UsageError, match=f'cannot upload to "{name}": .*(log in|right)') as caught:
            inferencer.push_to_hub(name, token=token)
        assert '\n' not in str(caught.value)
    assert not hub.repositories
    with monkeypatch.context() as patch:
        use_endpoint(patch, 'http://127.0.0.1:1')
        with pytest.raises(UsageError, match='cannot upload to "street": the hub cannot be reached .*the connection'):
            inferencer.push_to_hub('street', token=TOKEN)
    with pytest.raises(UsageError, match='cannot upload to "a b": '):
        inferencer.push_to_hub('a b', token=TOKEN)
