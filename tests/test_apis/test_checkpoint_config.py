# Copyright (c) The mmvc contributors. All rights reserved.
import pytest
import torch
from mmengine.config import Config

from mmvc.apis.checkpoint_config import config_of_checkpoint
from mmvc.apis.loading import load_model
from mmvc.utils.checkpoint_loading import TRUST_VARIABLE
from mmvc.utils.errors import CheckpointError, UsageError
from tests.helpers.tiny_inference import tiny_config, vivid_model


@pytest.fixture(autouse=True)
def untrusted(monkeypatch):
    monkeypatch.delenv(TRUST_VARIABLE, raising=False)


@pytest.fixture
def trace(tmp_path):
    """A file that only code in a config creates."""
    return tmp_path / 'trace'


def read(cfg, **content):
    return config_of_checkpoint(dict(meta=dict(cfg=cfg), **content), 'x.pth')[0]


def write(path, cfg: str):
    weights = vivid_model(tiny_config()).state_dict()
    if path.suffix == '.pth':
        torch.save(dict(state_dict=weights, meta=dict(cfg=cfg)), path)
    else:
        weights = {name: value.contiguous() for name, value in weights.items()}
        pytest.importorskip('safetensors.torch').save_file(weights, path, metadata=dict(cfg=cfg))
    return str(path)


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_code_in_the_text_is_refused_and_not_run(tmp_path, trace, suffix, monkeypatch):
    text = f'import os\nos.mkdir({str(trace)!r})\n{tiny_config().pretty_text}'
    path = write(tmp_path / f'evil.{suffix}', text)
    with pytest.raises(CheckpointError, match=f'evil.{suffix}" cannot be read: line 1 is code.*--trust-checkpoint'):
        load_model(None, path)
    assert not trace.exists()
    monkeypatch.setenv(TRUST_VARIABLE, '1')
    model, _, _ = load_model(None, path)
    assert trace.is_dir() and type(model).__name__ == 'MinVIS'


def test_the_config_of_a_message_hub_is_data_too(trace):
    with pytest.raises(CheckpointError, match='line 1 is code'):
        read('', message_hub=dict(runtime_info=dict(cfg=f'__import__("os").mkdir({str(trace)!r})')))
    assert not trace.exists()


def test_only_data_of_the_parts_that_are_used():
    cfg = tiny_config('DVISOffline')
    cfg.custom_hooks, cfg.load_from = [dict(type='a.hook.of.the.training')], 'weights.pth'
    found = read(cfg.pretty_text)
    assert set(found) == {'default_scope', 'model', 'test_dataloader'}
    assert found.model == cfg.model and found.test_dataloader == cfg.test_dataloader
    assert read(cfg.to_dict()).model == cfg.model  # stored as a dict
    assert read(Config(dict(stages=dict(a=dict(model=dict(_delete_=True, type='MinVIS')), b={}),
                            model=dict(type='DVISOnline'))).pretty_text).model.type == 'DVISOnline'


@pytest.mark.parametrize('key', [
    'model', 'model.backbone', 'model.postprocessor', 'test_dataloader.dataset', 'test_dataloader.dataset.pipeline.0',
    'test_dataloader.dataset.pipeline.1.transforms.0'
])
@pytest.mark.parametrize('kind', [
    'os.mkdir', 'subprocess.getoutput', 'mmengine.fileio.load', 'mmengine.Config.fromfile', 'builtins.exec',
    'torch.load', 'os.MinVIS', 'tests.helpers.tiny_models.MinVIS', 'unheard_of'
])
def test_types_that_are_in_no_registry(trace, key, kind):
    cfg = tiny_config()
    cfg.merge_from_dict({f'{key}.type': kind, f'{key}.path': str(trace)})
    with pytest.raises(CheckpointError, match=rf"names the type '{kind}' \({key}.type\).*--trust-checkpoint"):
        read(cfg.pretty_text)
    with pytest.raises(CheckpointError):
        read(dict(cfg.to_dict(), stages=dict(a=dict(model=dict(type=kind)), b={}), model=dict(type=kind)))
    assert not trace.exists()


@pytest.mark.parametrize('change, message', [
    (dict(custom_imports=dict(imports=['antigravity'])), 'imports modules .*antigravity'),
    ({'default_scope': 'antigravity'}, "scope 'antigravity'"),
    ({'model.backbone._scope_': 'antigravity'}, "scope 'antigravity'"),
    ({'model.class_weight': 'http://localhost/weights.pkl'}, r'may contain code \(model.class_weight'),
    ({'model.class_weight': 'pkl'}, r'may contain code \(model.class_weight'),
    ({'test_dataloader.dataset.backend_args': dict(backend='memcached', sys_path='data/modules')},
     r"names a folder of modules \(test_dataloader.dataset.backend_args.sys_path = 'data/modules'\)"),
    ({'model.teacher_config': 'data/teacher.py'}, 'may contain code'),
    ({'test_dataloader.dataset.metainfo': 'data/meta.yml'}, 'may contain code'),
    ({'test_dataloader.dataset.type': 'mmdet.RefCocoDataset'}, 'may read files that contain code'),
    ({'test_dataloader.dataset.type': 'mmengine.ConcatDataset'}, 'may read files that contain code'),
    ({'model.backbone.type': 'mmdet.KnowledgeDistillationSingleStageDetector'}, 'may read files that contain code'),
    ({'model.postprocessor.type': 'mmdet.CameraMotionCompensation'}, 'may read files that contain code'),
])
def test_what_makes_the_libraries_run_code(change, message):
    cfg = tiny_config()
    cfg.merge_from_dict(change)
    with pytest.raises(CheckpointError, match=message):
        read(cfg.pretty_text)


def test_registered_types_by_their_path():
    """As mmengine writes configs that import their classes."""
    cfg = tiny_config()
    cfg.merge_from_dict({'model.type': 'mmvc.models.video_segmentors.minvis.MinVIS',
                         'model.norm_cfg': dict(type='torch.nn.modules.batchnorm.BatchNorm2d'),
                         'test_dataloader.sampler.type': 'mmengine.dataset.sampler.DefaultSampler',
                         'test_dataloader.dataset.pipeline.1.transforms.1.type':
                             'mmdet.datasets.transforms.transforms.Resize'})
    found = read(cfg.pretty_text)
    assert found.model.type == 'mmvc.MinVIS' and found.model.norm_cfg.type in ('mmengine.BN', 'mmengine.BN2d')
    assert found.test_dataloader.sampler.type == 'mmengine.DefaultSampler'
    assert found.test_dataloader.dataset.pipeline[1].transforms[1].type == 'mmdet.Resize'


def test_overrides_of_the_user_are_not_checked(tmp_path):
    path = write(tmp_path / 'good.pth', tiny_config().pretty_text)
    _, cfg, _ = load_model(None, path, cfg_options={'model.postprocessor.type': 'mmvc.models.VSSPostprocessor',
                                                    'model.window_size': 3})
    assert cfg.model.window_size == 3


def test_no_config():
    for content in ({}, dict(meta=None), dict(meta=dict(cfg='')), dict(meta=dict(cfg=3))):
        with pytest.raises(UsageError, match='"x.pth" carries no config'):
            config_of_checkpoint(content, 'x.pth')
