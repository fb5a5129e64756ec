# Copyright (c) The mmvc contributors. All rights reserved.
"""A model of MMSegmentation on VSPW, with and without masking, by the configs alone: trained, tested, scored."""

import cv2
import numpy as np
import pytest
import torch
from config_files import CONFIG_DIR
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

NAMES = ('deeplabv3plus_r101_vspw', 'deeplabv3plus_r101_vspw_mvc')
SIZES = dict(a=(48, 80), b=(60, 64))  # height, width of each video


@pytest.fixture
def vspw(tmp_path):
    """Two videos of ten frames: a bright square (class 4) moves over the dark ground (class 2); void at the top."""
    for video, (height, width) in SIZES.items():
        for kind in ('origin', 'mask'):
            (tmp_path / 'data' / video / kind).mkdir(parents=True)
        for t in range(10):
            mask = np.full((height, width), 3, np.uint8)
            mask[16:40, 8 + 2 * t:32 + 2 * t] = 5
            mask[:4] = 0
            image = np.where(mask[..., None] == 5, 220, 40).astype(np.uint8).repeat(3, axis=2)
            cv2.imwrite(str(tmp_path / f'data/{video}/origin/{t:08d}.jpg'), image)
            cv2.imwrite(str(tmp_path / f'data/{video}/mask/{t:08d}.png'), mask)
    for split in ('train', 'val'):
        (tmp_path / f'{split}.txt').write_text('a\nb\n')
    return str(tmp_path)


def load_small(name: str, data_root: str) -> Config:
    """The config with a tenth of the channels, small crops, and plain batch norm (SyncBN trains on GPUs only)."""
    cfg = Config.fromfile(str(CONFIG_DIR / f'plugins/mmseg/{name}.py'))
    cfg.merge_from_dict({
        'model.data_preprocessor.size': (64, 64),
        'model.backbone': dict(depth=50, stem_channels=8, base_channels=8, init_cfg=None),
        'model.decode_head': dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8),
        'model.auxiliary_head': dict(in_channels=128, channels=16),
    })
    for part in ('backbone', 'decode_head', 'auxiliary_head'):
        cfg.model[part].norm_cfg.type = 'BN'
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.data_root = data_root
        cfg[f'{split}_dataloader'].merge_from_dict if False else None
    return cfg


def shrink_pipeline(pipeline: list) -> None:
    for transform in pipeline:
        if transform.type == 'RandomResize':
            transform.scale = (256, 64)
        elif transform.type == 'mmseg.RandomCrop':
            transform.crop_size = (64, 64)
        elif transform.type == 'mmvc.RandomPatchMask':
            transform.update(patch_size=16, prob=1.0)


@pytest.mark.parametrize('name', NAMES)
def test_train_and_score(name, vspw, tmp_path):
    cfg = load_small(name, vspw)
    shrink_pipeline(cfg.train_dataloader.dataset.pipeline)
    cfg.merge_from_dict(dict(
        work_dir=str(tmp_path / 'work'), train_dataloader=dict(num_workers=0, persistent_workers=False, batch_size=2),
        val_dataloader=dict(num_workers=0), test_dataloader=dict(num_workers=0),
        train_cfg=dict(max_iters=1, val_interval=1)))
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()  # a step, then validation
    changed = {key.split('.')[0] for key, value in runner.model.named_parameters() if not torch.equal(value, before[key])}
    assert changed == {'backbone', 'decode_head', 'auxiliary_head'}
    numbers = runner.message_hub
    scalars = {key: numbers.get_scalar(key).current() for key in numbers.log_scalars}
    assert 0 <= scalars['val/vss/mIoU'] <= 100 and 0 <= scalars['val/vss/VC8'] <= 100
    assert np.isfinite(scalars['train/loss']) and 'val/vss/VC16' not in scalars  # ten frames


def test_masking_is_all_that_differs(vspw):
    plain, masked = (Config.fromfile(str(CONFIG_DIR / f'plugins/mmseg/{name}.py')) for name in NAMES)
    assert [t for t in masked.train_pipeline if t not in plain.train_pipeline] == [
        dict(type='mmvc.RandomPatchMask', patch_size=32, mask_ratio=0.7, prob=0.5)]
    assert masked.train_pipeline[-2].type == 'mmvc.RandomPatchMask'  # directly before packing
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader', 'val_evaluator'):
        assert plain[key] == masked[key]
    assert plain.model.decode_head.num_classes == plain.model.auxiliary_head.num_classes == 124
