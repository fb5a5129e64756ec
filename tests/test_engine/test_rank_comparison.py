# Copyright (c) The mmvc contributors. All rights reserved.
import os

import pytest
from mmengine.config import Config

from mmvc.engine import rank_comparison
from mmvc.engine.rank_comparison import require_same_settings
from mmvc.utils.errors import UsageError


def config(**changes):
    cfg = Config(dict(
        data_root='data/a', work_dir='w', model=dict(type='MinVIS', num_classes=3),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3, betas=(0.9, 0.999))),
        train_dataloader=dict(dataset=dict(data_root='data/a', ann_file='data/a/train.txt')),
        hooks=[dict(type=Config)]))
    cfg.merge_from_dict(changes)
    return cfg


@pytest.fixture
def compare(monkeypatch):
    """Compare the settings of ranks, given as functions."""
    monkeypatch.setattr(rank_comparison, 'is_distributed', lambda: True)

    def compare(*ranks):
        gathered = []
        monkeypatch.setattr(rank_comparison, 'all_gather_object', lambda item: gathered.append(item) or gathered)
        for cfg in ranks:
            require_same_settings(cfg)

    return compare


def test_equal_ranks_pass(compare):
    compare(config(), config(), config())


def test_folders_may_be_others_on_each_machine(compare):
    other = config(data_root='/local/data', work_dir='/local/w')
    other.train_dataloader.dataset.update(data_root='/local/data', ann_file='/local/data/train.txt')
    compare(config(), other)


def test_published_weights_may_be_elsewhere_on_each_machine(monkeypatch):
    monkeypatch.setattr(rank_comparison, 'is_distributed', lambda: True)
    gathered = []
    monkeypatch.setattr(rank_comparison, 'all_gather_object', lambda item: gathered.append(item) or gathered)
    for home in ('/shared/a', '/local/b'):
        monkeypatch.setenv('MMVC_HOME', home)
        require_same_settings(config(load_from=f'{home}/converted/start-1/model.safetensors'))
    with pytest.raises(UsageError, match="load_from is '<published weights>/converted/start-1/model.safetensors' on"):
        require_same_settings(config(load_from='/local/b/converted/start-2/model.safetensors'))


@pytest.mark.parametrize('change, named', [
    ({'optim_wrapper.optimizer.lr': 0.5}, r'optim_wrapper.optimizer.lr is 0.001 on rank 0 and 0.5 on rank 1'),
    ({'randomness.seed': 7}, r'randomness.seed is not set on rank 0 and 7 on rank 1'),
    ({'train_dataloader.dataset.ann_file': 'data/a/val.txt'}, r"ann_file is '<data_root>/train.txt' on rank 0"),
    ({'optim_wrapper.optimizer.betas': (0.9, 0.99)}, r'betas.1 is 0.999 on rank 0 and 0.99 on rank 1'),
    ({'hooks': [dict(type=dict)]}, r'hooks.0.type is .*Config.* on rank 0')])
def test_what_differs_is_named(compare, change, named):
    with pytest.raises(UsageError, match=named):
        compare(config(), config(**change))


def test_only_a_few_of_many_entries_are_named(compare):
    with pytest.raises(UsageError, match='and 3 more entries'):
        compare(config(), config(**{f'key{number}': number for number in range(8)}))


@pytest.mark.parametrize('target, value, named', [
    ('mmvc.engine.rank_comparison._code_checksum', lambda: 'other', 'code of mmvc is'),
    ('mmvc.engine.rank_comparison.version', lambda package: '0.1', 'version of mmcv is'),
    ('os.environ', {**os.environ, 'MMVC_MAX_MEGAPIXELS': '9'}, "MMVC_MAX_MEGAPIXELS is not set on rank 0 and '9' on"),
    ('sys.argv', ['train.py', '--resume'], 'options of the command line is .*--resume on rank 1')])
def test_code_versions_and_options_count(monkeypatch, target, value, named):
    gathered = []
    monkeypatch.setattr('sys.argv', ['train.py'])
    monkeypatch.setattr(rank_comparison, 'is_distributed', lambda: True)
    monkeypatch.setattr(rank_comparison, 'all_gather_object', lambda item: gathered.append(item) or gathered)
    require_same_settings(config())
    monkeypatch.setattr(target, value)
    with pytest.raises(UsageError, match=named):
        require_same_settings(config())


def test_one_process_has_nothing_to_compare():
    require_same_settings(config())
