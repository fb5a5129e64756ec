# Copyright (c) The mmvc contributors. All rights reserved.
"""What of a config travels with shared weights, and what stays at home."""

import pytest
from mmengine.config import Config

from mmvc.apis.checkpoint_config import config_of_checkpoint
from mmvc.apis.portable_config import portable_config, public_meta
from mmvc.engine import load_config
from mmvc.registry import MODELS
from mmvc.utils.config_names import config_files
from mmvc.utils.errors import UsageError
from mmvc.utils.literal_config import parse_config_text
from tests.helpers.tiny_inference import tiny_config

PRIVATE = ['/home/alice/work', '~/data', '../secret_project', r'C:\Users\alice', r'\\server\share', 'file:///srv/x',
           'https://alice:sesame@host/x.pth', 'https://host/x.pth?token=sesame']


def shared(cfg):
    config = portable_config(cfg)
    return Config(parse_config_text(config.text, 'shared')), config


def test_everything_that_is_not_needed_stays_at_home():
    cfg = tiny_config('DVISOffline')
    cfg.merge_from_dict(dict(
        work_dir='work_dirs/secret_project', load_from='/home/alice/start.pth', resume=True,
        custom_hooks=[dict(type='Hook', token='hf_sesame')], visualizer=dict(entity='alice-team'),
        train_dataloader=dict(dataset=dict(data_root='/data/alice')), test_evaluator=dict(out_dir='/tmp/alice')))
    cfg.test_dataloader.dataset.update(data_root='/data/alice', ann_file='secret.txt', metainfo=['zebra'])
    found, config = shared(cfg)
    assert set(found) == {'default_scope', 'model', 'test_dataloader'} and not config.left_out
    assert found.model == cfg.model
    assert found.test_dataloader == dict(dataset=dict(
        type='BaseVideoSegDataset', test_mode=True, pipeline=cfg.test_dataloader.dataset.pipeline))
    for word in ('alice', 'secret', 'sesame', 'zebra'):
        assert word not in config.text


@pytest.mark.parametrize('value', [*PRIVATE, [['a', PRIVATE[0]]]])
def test_paths_and_keys_of_the_model_and_the_pipeline(value):
    cfg = tiny_config()
    cfg.model.backbone.extra, cfg.model.feature_store = value, dict(dtype='float16', folder=value)
    cfg.test_dataloader.dataset.pipeline[1].transforms[0].server = value
    found, config = shared(cfg)
    assert 'extra' not in found.model.backbone and found.model.feature_store == dict(dtype='float16')
    assert found.test_dataloader.dataset.pipeline[1].transforms[0] == dict(type='LoadFrameFromFile')
    assert [item.split(' (')[0] for item in config.left_out] == [
        'model.backbone.extra', 'model.feature_store.folder', 'pipeline.1.transforms.0.server']


def test_initial_weights_caches_servers_and_secrets():
    cfg = tiny_config()
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    cfg.model.backbone.pretrained = 'checkpoints/start.pth'
    cfg.model.segmenter_cache = dict(folder='cache')
    cfg.model.head.update(api_key='sesame', hf_token='sesame', num_tokens=4, with_cls_token=True,
                          init_cfg=dict(type='Normal', layer='Conv2d'))
    cfg.test_dataloader.dataset.pipeline[1].transforms[0].backend_args = dict(backend='petrel', key='sesame')
    found, config = shared(cfg)
    assert {'init_cfg', 'pretrained'}.isdisjoint(found.model.backbone) and 'segmenter_cache' not in found.model
    assert {'api_key', 'hf_token'}.isdisjoint(found.model.head)
    assert found.model.head.num_tokens == 4 and found.model.head.with_cls_token is True
    assert found.model.head.init_cfg == dict(type='Normal', layer='Conv2d')
    assert 'sesame' not in config.text and len(config.left_out) == 6


def test_addresses_and_relative_names_are_not_private():
    cfg = tiny_config()
    cfg.model.backbone.update(a='https://example.com/x', b='data/x', c='.', d='type/name', scale=(1, 2.5), low=-1e-5)
    assert shared(cfg)[0].model == cfg.model


def test_values_that_are_no_data():
    cfg = tiny_config()
    cfg.model.backbone.extra = print
    with pytest.raises(UsageError, match='no plain data|cannot be read'):
        portable_config(cfg)


@pytest.mark.parametrize('part', ['model', 'test_dataloader'])
def test_configs_that_no_inferencer_could_use(part):
    cfg = tiny_config()
    cfg.pop(part)
    with pytest.raises(UsageError, match=f'has no "?{part}'):
        portable_config(cfg)


@pytest.mark.parametrize('name', ['mvc/dvispp_vitl_vspw', 'dvispp/dvispp_swinl_ovis', 'minvis/minvis_r50_vspw'])
def test_shipped_configs_are_accepted_by_the_reader(name):
    """The reader refuses what could run code; it must accept what the writer writes."""
    cfg = load_config(str(config_files()[name].path))
    cfg.merge_from_dict({'model.backbone.init_cfg': None})
    text = portable_config(cfg).text
    found, _ = config_of_checkpoint(dict(meta=dict(cfg=text)), 'x.pth')
    assert found.model == cfg.model and MODELS.get(found.model.type) is not None


def test_metadata_of_a_dataset():
    meta = dict(classes=('/', 'sea'), palette=[[0, 0, 0], [1, 1, 1]], root='/home/alice', api_key='x', name='coast')
    assert public_meta(meta) == dict(classes=('/', 'sea'), palette=[[0, 0, 0], [1, 1, 1]], name='coast')
