# Copyright (c) The mmvc contributors. All rights reserved.
"""The inferencer with the name of a model alone, or the name or address of weights."""

import io

import pytest
import torch
from mmengine.registry import init_default_scope

from mmvc.apis import VideoSegInferencer
from mmvc.apis.loading import load_model
from mmvc.engine import load_config
from mmvc.registry import MODELS
from mmvc.utils.config_names import find_config
from mmvc.utils.errors import UsageError
from tests.helpers.hub_server import COMMIT, hub_server
from tests.helpers.published import publish, use_own_cache

NAME, STAGE = 'dvispp_r18_synthetic_segmenter', 'segmenter'
ADDRESS = f'hf://someone/models@{COMMIT}/tiny.pth'
OPTIONS = {'model.backbone.init_cfg': None}


@pytest.fixture(scope='module')
def weights():
    init_default_scope('mmvc')
    path, stage = find_config(NAME)
    torch.manual_seed(3)
    return MODELS.build(load_config(str(path), OPTIONS, stage=stage).model).state_dict()


@pytest.fixture
def hub(monkeypatch, tmp_path, weights):
    buffer = io.BytesIO()
    torch.save(dict(state_dict=weights), buffer)
    with hub_server() as server:
        use_own_cache(monkeypatch, tmp_path, server.url)
        server.files['someone/models', 'tiny.pth'] = buffer.getvalue()
        publish(monkeypatch, NAME, ADDRESS, Layout='mmvc')
        yield server


def has(model, weights) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize('arguments', [
    dict(model=NAME), dict(model=f'dvispp/{NAME}'), dict(model='dvispp/dvispp_r18_synthetic', stage=STAGE),
    dict(model=NAME, weights=NAME), dict(model=NAME, weights=ADDRESS), dict(model=None, weights=NAME)])
def test_by_name(hub, weights, arguments):
    model, cfg, meta = load_model(**arguments, cfg_options=OPTIONS)
    assert has(model, weights) and type(model).__name__ == 'MinVIS'
    assert len(meta['classes']) == model.num_classes
    assert len(hub.downloads()) == 1


def test_the_inferencer(hub, weights):
    inferencer = VideoSegInferencer(NAME, device='cpu', cfg_options=OPTIONS)
    name = 'head.query_feat.weight'  # the inferencer fuses other layers
    assert torch.equal(inferencer.model.state_dict()[name], weights[name])


def test_start_weights_are_no_model():
    with pytest.raises(UsageError, match='"dinov2_vits" are weights to start a training from .*"mmvc models" lists'):
        load_model('dinov2_vits')


def test_a_path_and_load_from_stay_what_they_are(hub, weights, tmp_path):
    """Only a name stands for published weights; what the user gives wins."""
    path = str(find_config(NAME).path)
    model, *_ = load_model(path, stage=STAGE, cfg_options=dict(OPTIONS, load_from=None))
    assert not has(model, weights)
    own = {name: value + 1 if value.is_floating_point() else value for name, value in weights.items()}
    torch.save(dict(state_dict=own), tmp_path / 'own.pth')
    assert has(load_model(NAME, str(tmp_path / 'own.pth'), cfg_options=OPTIONS)[0], own)
    assert has(load_model(NAME, cfg_options=dict(OPTIONS, load_from=str(tmp_path / 'own.pth')))[0], own)
    assert not hub.requests


def test_weights_of_another_model(hub):
    with pytest.raises(UsageError, match=f'checkpoint "{NAME}" does not fit config'):
        load_model('dvispp_r18_synthetic_online', NAME, cfg_options=OPTIONS)


def test_weights_that_cannot_be_had(hub):
    hub.files.clear()
    with pytest.raises(UsageError, match=f'^weights "{NAME}": there is no repository "someone/models"'):
        load_model(NAME)


def test_a_model_without_published_weights():
    """Its config names a file that is not there."""
    with pytest.raises(UsageError, match='checkpoint "checkpoints/mask2former_r50_coco-instance.pth" does not exist'):
        load_model('minvis_r50_ovis')
