# Copyright (c) The mmvc contributors. All rights reserved.
"""Names of configs, and weights that fit or are refused."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmvc.apis import VideoSegInferencer
from mmvc.apis.loading import config_meta, frame_transforms, load_model
from mmvc.engine import load_config, mismatch_hint, weight_mismatches
from mmvc.utils import shipped_files
from mmvc.utils.config_names import config_files, find_config
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_encoder_only import build_model as build_encoder_only, image_stage
from tests.helpers.tiny_inference import CLASSES, PALETTE, tiny_config, vivid_model
from tests.helpers.tiny_models import STAGES


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint of a stage's tiny model."""

    def save(stage, name='weights.pth', prefix='', **meta):
        cfg = tiny_config(stage)
        state_dict = {f'{prefix}{key}': value for key, value in vivid_model(cfg).state_dict().items()}
        torch.save(dict(state_dict=state_dict, meta=meta), tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.fixture
def warnings(monkeypatch):
    """What is logged as a warning."""
    lines = []
    logger = MMLogger.get_instance('inferencer_test')
    monkeypatch.setattr(MMLogger, 'get_current_instance', classmethod(lambda cls: logger))
    monkeypatch.setattr(logger, 'log', lambda level, message: lines.append(message) if level >= logging.WARNING else 0)
    return lines


def test_names_of_configs():
    files = config_files()
    assert files['mvc/dvispp_r18_camvid'].path.name == 'dvispp_r18_camvid.py'
    assert not any('_base_' in key for key in files)
    assert find_config('mvc/dvispp_r18_camvid') == find_config('mvc/dvispp_r18_camvid.py') == files[
        'mvc/dvispp_r18_camvid']
    assert find_config('minvis_r50_vspw') == files['minvis/minvis_r50_vspw']  # unique without its family
    # a metafile's name
    assert find_config('mvc_dvispp_r50_vspw_online') == find_config('mvc/dvispp_r50_vspw_online') == (
        files['mvc/dvispp_r50_vspw'].path, 'online')
    path = str(files['minvis/minvis_r50_vspw'].path)
    assert find_config(path) == (Path(path), None)


def test_names_that_are_no_configs():
    with pytest.raises(UsageError, match='2 configs called "dvispp_r50_vspw".*dvispp/dvispp_r50_vspw or mvc/dvispp'):
        find_config('dvispp_r50_vspw')
    with pytest.raises(UsageError, match='did you mean mvc/dvispp_r18_camvid'):
        find_config('mvc/dvispp_r18_camvit')
    with pytest.raises(UsageError, match='did you mean minvis/minvis_r50_vspw'):
        find_config('minvis_r50_vspv')
    with pytest.raises(UsageError, match='they are in'):
        find_config('qqqqq')
    with pytest.raises(UsageError, match='config "configs/nothing.py" does not exist|neither a config file'):
        find_config('configs/nothing.py')


@pytest.mark.parametrize('folder', ['mmvc/.mim/configs', 'configs'])
def test_configs_of_an_installed_package(monkeypatch, tmp_path, folder):
    """They lie in .mim; in a source tree that was not installed, beside the package."""
    source = config_files()['minvis/minvis_r50_vspw'].path
    (tmp_path / folder / 'family').mkdir(parents=True)
    shutil.copy(source, tmp_path / folder / 'family/my_config.py')
    (tmp_path / 'mmvc').mkdir(exist_ok=True)
    monkeypatch.setattr(shipped_files, 'PACKAGE', tmp_path / 'mmvc')
    assert find_config('my_config').path == tmp_path / folder / 'family/my_config.py'


def test_every_config_of_the_package_can_be_used():
    """Its name is found, it tells its classes, and its test pipeline can take frames."""

    init_default_scope('mmvc')
    for name in ('mvc/dvispp_r18_camvid', 'mvc/dvispp_r50_vspw', 'mvc/dvispp_r50_vipseg', 'mvc/dvispp_r50_ovis',
                 'mvc/dvispp_r50_ytvis2019', 'mvc/dvispp_r50_ytvis2021', 'mvc/dvispp_r18_synthetic',
                 'videomt/videomt_vits_dinov2_ytvis2019', 'pmt/pmt_vitl_dinov3_vipseg', 'mvc/lvmt_vitl_dinov3_ovis'):
        cfg = load_config(str(find_config(name).path))
        meta = config_meta(cfg, name)
        assert len(meta['classes']) == len(meta['palette']) == cfg.model.num_classes
        loader, transforms = frame_transforms(cfg)
        assert loader.type == 'LoadFrameFromFile' and transforms[-1].type == 'PackVideoSegInputs'


def test_a_stage_of_a_config(save, tmp_path):
    """By its name, of a config in a file or at hand, and of one that the checkpoint carries."""
    cfg = tiny_config('DVISOnline')
    stages = dict(segmenter=dict(model=dict(type='MinVIS', _remove_='tracker')), online={})
    (tmp_path / 'all.py').write_text(f'{cfg.pretty_text}\n{stages = }')
    cfg.stages = stages
    for model, weights in ((cfg, save('MinVIS')), (str(tmp_path / 'all.py'), save('MinVIS')),
                           (None, save('MinVIS', cfg=cfg.pretty_text))):
        built, found, _ = load_model(model, weights, stage='segmenter')
        assert type(built).__name__ == 'MinVIS' and 'stages' not in found
    for model, weights in ((cfg, save('DVISOnline')), (None, save('DVISOnline', cfg=cfg.pretty_text))):
        built, _, _ = load_model(model, weights)
        assert type(built).__name__ == 'DVISOnline'
    for model, stage, message in ((cfg, 'offline', 'the config has no stage "offline"'),
                                  (tiny_config(), 'online', 'the config has no stages'),
                                  ('mvc/dvispp_r50_vspw_online', 'offline', 'names the stage online, and .* offline')):
        with pytest.raises(UsageError, match=message):
            load_model(model, stage=stage)


def test_config_from_the_checkpoint(save):
    cfg = tiny_config('DVISOnline')
    path = save('DVISOnline', cfg=cfg.pretty_text)
    model, found, meta = load_model(None, path)
    assert type(model).__name__ == 'DVISOnline' and not model.training and found.model == cfg.model
    assert meta == dict(classes=tuple(CLASSES), palette=[tuple(color) for color in PALETTE])
    for weights, message in ((save('DVISOnline', 'bare.pth'), 'bare.pth" carries no config'), (None, 'give a model'),
                             (save('DVISOnline', 'cut.pth', cfg='model = dict('), 'cut.pth" cannot be read')):
        with pytest.raises(UsageError, match=message):
            load_model(None, weights)


def test_weights_are_loaded(save):
    """Whole, also those of a distributed training; and a config is not changed by being used."""
    cfg, expected = tiny_config('DVISOffline'), vivid_model(tiny_config('DVISOffline')).state_dict()
    for path in (save('DVISOffline'), save('DVISOffline', 'wrapped.pth', prefix='module.')):
        before = cfg.pretty_text
        torch.manual_seed(5)
        model, _, _ = load_model(cfg, path)
        assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
        assert cfg.pretty_text == before
    cfg.load_from = path
    model, _, _ = load_model(cfg)
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_no_weights(warnings):
    load_model(tiny_config())
    assert len(warnings) == 1 and 'RANDOM' in warnings[0]


@pytest.mark.parametrize('stage', STAGES)
@pytest.mark.parametrize('of_config', STAGES)
def test_weights_of_another_stage(save, stage, of_config):
    if stage == of_config:
        pytest.skip('they fit')
    names = list(STAGES)
    hint = 'an earlier stage' if names.index(stage) < names.index(of_config) else 'a later stage'
    right = dict(MinVIS='segmenter', DVISOnline='online', DVISOffline='offline')[stage]
    with pytest.raises(UsageError, match=rf'weights.pth" does not fit.*{hint}.*--stage {right}') as caught:
        load_model(tiny_config(of_config), save(stage))
    assert 'refiner.' in str(caught.value) or 'tracker.' in str(caught.value)


def test_the_hint_for_encoder_only_models_and_official_checkpoints():
    video, images = build_encoder_only('lvmt'), build_encoder_only(image_stage('lvmt'))
    assert '--stage segmenter' in mismatch_hint(weight_mismatches(video, images.state_dict()))
    assert '--stage online' in mismatch_hint(weight_mismatches(images, video.state_dict()))
    assert mismatch_hint(weight_mismatches(video, build_encoder_only('pmt').state_dict())) is None
    for official in (dict(model={}), {'criterion.empty_weight': torch.ones(5)}):
        assert 'dvispp_to_mmvc.py' in mismatch_hint(weight_mismatches(video, official))


@pytest.mark.parametrize('meta', [{}, dict(dataset_meta=dict(classes=CLASSES, palette=PALETTE))], ids=['', 'named'])
def test_weights_of_another_number_of_classes(save, meta):
    """The weights are listed, also where the checkpoint names its classes, as those of a training do."""
    cfg = tiny_config()
    cfg.model.num_classes = 3
    cfg.test_dataloader.dataset.metainfo = dict(classes=('a', 'b', 'c'))
    with pytest.raises(UsageError, match='another number of classes.*2 weights differ') as caught:
        load_model(cfg, save('MinVIS', **meta))
    lines = str(caught.value).splitlines()
    assert lines[1].split() == 'head.cls_embed.weight: shape (11, 32) in the checkpoint, (4, 32) in the model'.split()


def test_classes_come_from_the_checkpoint_first(save, warnings):
    cfg = tiny_config()
    other = [f'other{index}' for index in range(10)]
    given = dict(classes=other, palette=PALETTE[::-1])
    _, _, meta = load_model(cfg, save('MinVIS', dataset_meta=given))
    assert meta['classes'] == tuple(other) and meta['palette'][0] == tuple(PALETTE[-1])
    _, _, meta = load_model(cfg, save('MinVIS', dataset_meta=dict(classes=CLASSES)))  # the config's colours
    assert meta['palette'] == [tuple(color) for color in PALETTE] and not warnings
    _, _, meta = load_model(cfg, save('MinVIS', dataset_meta=dict(CLASSES=other)))
    assert meta['classes'] == tuple(other) and len(meta['palette']) == 10 and 'random' in warnings[0]
    with pytest.raises(UsageError, match='names 2 classes, the model of the config has 10'):
        load_model(cfg, save('MinVIS', dataset_meta=dict(classes=['a', 'b'], palette=PALETTE[:2])))
    cfg.test_dataloader.dataset.metainfo = None
    with pytest.raises(UsageError, match='neither the config nor the checkpoint lists the classes'):
        load_model(cfg, save('MinVIS'))


def test_bad_files_and_configs(tmp_path):
    (tmp_path / 'broken.pth').write_bytes(b'PK not a checkpoint')
    for weights, message in (('no.pth', 'no.pth" does not exist'), (str(tmp_path / 'broken.pth'), 'a text .*PK not')):
        with pytest.raises(UsageError, match=message):
            load_model(tiny_config(), weights)
    cfg = tiny_config()
    cfg.pop('test_dataloader')
    with pytest.raises(UsageError, match='no test_dataloader'):
        load_model(cfg)
    with pytest.raises(UsageError, match='no "model"'):
        load_model(dict(load_from=None))
    with pytest.raises(UsageError, match='describes a ResNet'):
        load_model(dict(model=dict(type='mmdet.ResNet', depth=18)))
    with pytest.raises(UsageError, match='got int'):
        load_model(3)


def test_the_pipeline_without_a_loader(make_inferencer):
    cfg = tiny_config()
    cfg.test_dataloader.dataset.pipeline = [dict(type='PackVideoSegInputs')]
    with pytest.raises(UsageError, match='no LoadFrameFromFile'):
        VideoSegInferencer(cfg, device='cpu')
