# Copyright (c) The mmvc contributors. All rights reserved.
"""Models of MMSegmentation on VSPW, with and without masking, by the configs alone: trained, tested, scored."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from tests.helpers.config_files import CONFIG_DIR
from tests.helpers.tiny_configs import build

NAMES = ('deeplabv3plus_r101_vspw', 'segformer_mit-b2_vspw')
FEW_CHANNELS = dict(
    deeplabv3plus=dict(
        backbone=dict(depth=50, stem_channels=8, base_channels=8, init_cfg=None),
        decode_head=dict(in_channels=256, channels=16, c1_in_channels=32, c1_channels=8),
        auxiliary_head=dict(in_channels=128, channels=16)),
    segformer=dict(
        backbone=dict(embed_dims=8, num_layers=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], init_cfg=None),
        decode_head=dict(in_channels=[8, 8, 8, 8], channels=16)))
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


def load(name: str) -> Config:
    return Config.fromfile(str(CONFIG_DIR / f'plugins/mmseg/{name}.py'))


def load_small(name: str, data_root: str, work_dir: str) -> Config:
    """The config with few layers and channels, small crops, and plain batch norm (SyncBN trains on GPUs only)."""
    cfg = load(name)
    cfg.merge_from_dict(dict(
        model=dict(FEW_CHANNELS[name.split('_')[0]], data_preprocessor=dict(size=(64, 64))),
        train_dataloader=dict(batch_size=2, num_workers=0, persistent_workers=False),
        val_dataloader=dict(num_workers=0),
        train_cfg=dict(max_iters=1, val_interval=1),
        work_dir=work_dir))
    cfg.test_dataloader = cfg.val_dataloader
    for part in cfg.model.values():
        if isinstance(part, dict) and part.get('norm_cfg', {}).get('type') == 'SyncBN':
            part.norm_cfg.type = 'BN'
    for split in ('train', 'val'):
        cfg[f'{split}_dataloader'].dataset.data_root = data_root
    smaller = {'RandomResize': dict(scale=(256, 64)), 'mmseg.RandomCrop': dict(crop_size=(64, 64)),
               'mmvc.RandomPatchMask': dict(patch_size=16, prob=1.0)}
    for transform in cfg.train_dataloader.dataset.pipeline:
        transform.update(smaller.get(transform.type, {}))
    return cfg


@pytest.mark.parametrize('name, rgb', [
    (f'{NAMES[0]}_mvc', [124, 116, 104]),  # of ImageNet
    (f'{NAMES[1]}_mvc', [90, 30, 150]), (NAMES[0], [124, 116, 104])])
def test_train_and_score(name, rgb, vspw, tmp_path):
    cfg = load_small(name, vspw, str(tmp_path / 'work'))
    if rgb != [124, 116, 104]:
        cfg.model.data_preprocessor.mean = rgb
    runner = Runner.from_cfg(cfg)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()  # a step, then validation
    after = dict(runner.model.named_parameters())
    changed = {key.split('.')[0] for key, value in before.items() if not torch.equal(value, after[key])}
    assert changed == set(FEW_CHANNELS[name.split('_')[0]])
    numbers = {key: buffer.current() for key, buffer in runner.message_hub.log_scalars.items()}
    assert 0 <= numbers['val/vss/mIoU'] <= 100 and 0 <= numbers['val/vss/VC8'] <= 100
    assert np.isfinite(numbers['train/loss']) and 'val/vss/VC16' not in numbers  # a video has ten frames
    mean = torch.tensor(rgb[::-1], dtype=torch.uint8).view(3, 1, 1)  # hidden pixels, BGR
    images = [runner.train_dataloader.dataset[index]['inputs'] for index in range(8)]
    hidden = np.mean([(image == mean).all(0).float().mean() for image in images])
    assert 0.5 < hidden < 0.9 if 'mvc' in name else hidden < 0.1


def test_full_size_deeplab(on_meta):
    model = build(load(NAMES[0]).model)
    assert len(model.backbone.layer3) == 23 and model.backbone.layer4[2].conv2.dilation == (4, 4)
    assert model.decode_head.num_classes == model.auxiliary_head.num_classes == 124
    assert sum(parameter.numel() for parameter in model.parameters()) == 62_662_856


def test_full_size_segformer(on_meta):
    model = build(load(NAMES[1]).model)
    assert [len(stage[1]) for stage in model.backbone.layers] == [3, 4, 6, 3]
    assert model.decode_head.num_classes == 124
    assert sum(parameter.numel() for parameter in model.parameters()) == 24_755_004


@pytest.mark.parametrize('name', NAMES)
def test_masking_is_all_that_differs(name):
    plain, masked = load(name), load(f'{name}_mvc')
    assert [t for t in masked.train_pipeline if t not in plain.train_pipeline] == [
        dict(type='mmvc.RandomPatchMask', patch_size=32, mask_ratio=0.7, prob=0.5)]
    assert masked.train_pipeline[-2].type == 'mmvc.RandomPatchMask'  # directly before packing
    for key in ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'val_dataloader', 'val_evaluator'):
        assert plain[key] == masked[key]
