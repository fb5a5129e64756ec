# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
from mmengine.config import Config

from mmvc.engine import enable_amp, enable_auto_scale_lr, load_config
from mmvc.utils.errors import UsageError

TEXT = """
data_root = 'data/vspw/'
train_dataloader = dict(dataset=dict(type='Concat', datasets=[
    dict(data_root=data_root, ann_file=data_root + 'train.txt'), dict(data_root='data/coco'),
    dict(data_root='data/vspw_extra')]))
val_dataloader = None
test_evaluator = [dict(type='A', ann_file=data_root + 'val/gt.json')]
work_dir = 'data/vspw'
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1.0))
"""


@pytest.fixture
def path(tmp_path) -> str:
    (tmp_path / 'a.py').write_text(TEXT)
    return str(tmp_path / 'a.py')


@pytest.mark.parametrize('how', [dict(data_root='/mnt/x'), dict(cfg_options=dict(data_root='/mnt/x'))])
def test_data_root_reaches_datasets_and_evaluators(path, how):
    cfg = load_config(path, **how)
    datasets = cfg.train_dataloader.dataset.datasets
    assert [dataset.data_root for dataset in datasets] == ['/mnt/x', 'data/coco', 'data/vspw_extra']
    assert datasets[0].ann_file == '/mnt/x/train.txt'
    assert cfg.test_evaluator[0].ann_file == '/mnt/x/val/gt.json'
    assert cfg.work_dir == 'data/vspw'  # not a dataset


def test_options_are_merged(path):
    cfg = load_config(path, {'optim_wrapper.optimizer.lr': 0.5})
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.train_dataloader.dataset.datasets[0].data_root == 'data/vspw/'


@pytest.mark.parametrize('text, options, message', [
    (None, None, 'does not exist'),
    ("_base_ = './missing.py'", None, 'missing.py'),
    ('a = 1', dict(data_root='x'), 'no top-level data_root'),
    ('a = [1]', {'a.3.b': 1}, r'cfg_options \(--cfg-options\) do not fit'),
    ('a = 1', {'a.b': 1}, 'do not fit'),
    ('a = 1', ['a'], 'do not fit'),
    ('a = None; stages = dict(x=dict())', {'a.b': 1}, r'stage "x" \(stages.NAME.KEY=VALUE changes one stage alone\)'),
])
def test_wrong_configs_are_named(tmp_path, text, options, message):
    path = tmp_path / 'b.py'
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_config(str(path), options)
    assert str(path) in str(caught.value)


def test_amp_and_auto_scale_lr():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper'), auto_scale_lr=dict(base_batch_size=8)))
    enable_amp(cfg)
    enable_auto_scale_lr(cfg)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert cfg.auto_scale_lr.enable
    with pytest.raises(UsageError, match='base_batch_size'):
        enable_auto_scale_lr(Config(dict()))
    with pytest.raises(UsageError, match='Other'):
        enable_amp(Config(dict(optim_wrapper=dict(type='Other'))))
