# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

import pytest

from mmvc.utils import config_names
from mmvc.utils.config_names import read_models
from mmvc.zoo import catalogue
from mmvc.zoo.addresses import parse_hub_address
from mmvc.zoo.catalogue import close_names, find_weights, find_weights_of, list_weights

ROOT = Path(__file__).resolve().parents[2]


def test_entries():
    weights = find_weights('dvispp_r50_vspw_online')
    file = parse_hub_address(weights.address)
    assert file.repo == 'zhangtao-whu/DVIS_Plus' and file.is_pinned
    assert file.file == 'DVIS++/weights/online_r50_vspw_469.pth'
    assert (weights.licence, weights.layout, weights.size) == ('MIT', 'official', '285 MB')
    assert weights.checksum.startswith('sha256:be6de0ab8f43') and len(weights.checksum) == 71
    assert weights.scores == {'mIoU': 46.9, 'mVC8': 92.3, 'mVC16': 91.1} and weights.data == 'VSPW'
    assert (weights.config, weights.stage) == ('configs/dvispp/dvispp_r50_vspw.py', 'online')
    assert weights.task == 'Video Semantic Segmentation' and weights.options == {}


@pytest.mark.parametrize('name, options', [
    ('mask2former_r50_coco_panoptic', dict(drop_class_head=True)),
    ('dinov2_vitl_grid80', dict(plain_vit=True, position_grid=80)), ('dinov3_vitl', {})])
def test_start_weights(name, options):
    weights = find_weights(name)
    assert weights.options == options and not weights.config and weights.stage is None


def test_names():
    names = [weights.name for weights in list_weights()]
    assert len(names) == len(set(names)) > 100
    assert find_weights('mvc_dvispp_r50_vspw_online') is None and find_weights('nothing') is None
    assert close_names('dvispp_r50_vpsw_online')[0] == 'dvispp_r50_vspw_online' and close_names('zzz') == []


def test_weights_of_a_config():
    config = ROOT / 'configs/videomt/videomt_vitl_dinov2_vspw.py'
    assert find_weights_of(config, 'online').name == 'videomt_vitl_dinov2_vspw_online'
    assert find_weights_of(config, 'segmenter').name == 'videomt_vitl_dinov2_vspw_segmenter'
    assert find_weights_of(config, None) is None
    assert find_weights_of(ROOT / 'configs/mvc/dvispp_r50_vspw.py', 'online') is None


def test_without_configs(monkeypatch):
    for module in (catalogue, config_names):
        monkeypatch.setattr(module, 'find_shipped', lambda path: None)
    assert (read_models(), list_weights(), find_weights('dinov3_vitl')) == ([], [], None)
    assert find_weights_of(ROOT / 'configs/videomt/videomt_vitl_dinov2_vspw.py', 'online') is None
