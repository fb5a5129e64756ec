# Copyright (c) The mmvc contributors. All rights reserved.
"""The models that the page offers, and whose click cancels what."""

import gc
import weakref

import pytest

from mmvc.page.models import ModelShelf, load_inferencer
from mmvc.page.sessions import Sessions
from mmvc.utils.errors import UsageError


class Model:
    """Stands for an inferencer; notes what it was made of."""

    def __init__(self, model, config):
        self.made_of = model, config


def test_names():
    assert ModelShelf(['https://host/a/one.pth', 'folder/two'], load=Model).names == ['one.pth', 'two']
    shelf = ModelShelf(['https://host/a/one.pth', 'https://host/b/one.pth', 'dvispp_r50'], 'config.py', Model)
    assert shelf.names == ['https://host/a/one.pth', 'https://host/b/one.pth', 'dvispp_r50']
    assert shelf.get('dvispp_r50').made_of == ('dvispp_r50', 'config.py')
    with pytest.raises(UsageError, match='there is no model "other": choose one of https'):
        shelf.get('other')


def test_one_model_is_in_memory():
    made = []

    def load(model, config):
        gc.collect()
        assert not [ref for ref in made if ref() is not None], 'the one before is gone before the next is loaded'
        result = Model(model, config)
        made.append(weakref.ref(result))
        return result

    shelf = ModelShelf(['one', 'two'], load=load)
    shelf.get('one')
    shelf.get('one')
    assert len(made) == 1
    shelf.get('two')
    shelf.get('one')
    assert len(made) == 3


def test_a_model_that_cannot_be_loaded_leaves_the_page_as_it_is():

    def load(model, config):
        if model == 'broken':
            raise UsageError('broken')
        return Model(model, config)

    shelf = ModelShelf(['one', 'broken'], load=load)
    with pytest.raises(UsageError):
        shelf.get('broken')
    assert shelf.get('one').made_of == ('one', None)


def test_what_is_no_model(tmp_path):
    with pytest.raises(UsageError, match='name at least one model'):
        ModelShelf([])
    with pytest.raises(UsageError, match='absent.pth" does not exist'):
        ModelShelf([str(tmp_path / 'absent.pth')])


def test_files_and_folders(checkpoint, tmp_path):
    """A checkpoint with its config, one with a config beside it, and a folder of save_pretrained()."""
    path = checkpoint('vps')
    model = load_inferencer(str(path), device='cpu', max_memory=0.5)
    assert model.task == 'vps' and model.feature_store['memory_limit'] == 2**29 and not model.show_progress
    model.cfg.dump(tmp_path / 'config.py')
    assert load_inferencer(str(path), str(tmp_path / 'config.py'), device='cpu').task == 'vps'
    folder = model.save_pretrained(tmp_path / 'shared')
    assert load_inferencer(str(folder), device='cpu').task == 'vps'
    with pytest.raises(UsageError, match='neither a config file nor'):
        load_inferencer('dvispp_of_nobody', device='cpu')
    with pytest.raises(UsageError, match='no weights of "mvc/dvispp_r50_ovis" are published: give a checkpoint'):
        load_inferencer('mvc/dvispp_r50_ovis', device='cpu')


def test_each_tab_cancels_its_own_job():
    sessions = Sessions()
    with sessions.job('a') as first, sessions.job('b') as other:
        assert sessions.cancel('a')
        assert first.is_set() and not other.is_set()
        with sessions.job('a') as second:  # waits for its turn
            assert not second.is_set()
            assert sessions.cancel('a') and second.is_set()
    assert not sessions.cancel('a') and not sessions.cancel('nobody')
