# Copyright (c) The mmvc contributors. All rights reserved.
"""The masks in plain MMSegmentation and MMDetection image pipelines, through ``custom_imports`` alone."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, DefaultScope

from mmvc.utils.patch_mask import expand_patch_mask

META_KEYS = ('img_path', 'ori_shape', 'img_shape', 'masked', 'patch_mask', 'patch_size')

SEG_CONFIG = """
custom_imports = dict(imports=['mmvc'])
default_scope = 'mmseg'
norm = dict(type='BN', requires_grad=True)
dataset = dict(
    type='BaseSegDataset',
    metainfo=dict(classes=('a', 'b', 'c'), palette=[[0, 0, 0], [255, 0, 0], [255, 255, 255]]),
    data_prefix=dict(img_path='img', seg_map_path='ann'),
    img_suffix='.png',
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmvc.{mask}', patch_size=16, prob=1.0),
        dict(type='PackSegInputs', meta_keys=('img_path', 'img_shape', 'masked', 'patch_mask', 'patch_size'))
    ])
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        size=(56, 72)),
    backbone=dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8, norm_cfg=norm),
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=8, num_convs=1, num_classes=3, norm_cfg=norm,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)))
"""


@pytest.mark.parametrize('mask', ['RandomPatchMask', 'TubeMask'])
def test_one_step_of_an_mmseg_model(tmp_path, mask):
    rng = np.random.RandomState(0)
    for folder in ('img', 'ann'):
        (tmp_path / folder).mkdir()
    for index in range(2):
        cv2.imwrite(str(tmp_path / f'img/{index}.png'), rng.randint(130, 255, (56, 72, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'ann/{index}.png'), rng.randint(0, 3, (56, 72), np.uint8))
    cfg = Config.fromstring(SEG_CONFIG.replace('{mask}', mask), '.py')
    np.random.seed(1)
    with DefaultScope.overwrite_default_scope('mmseg'):
        import mmseg.datasets  # noqa: F401
        import mmseg.models  # noqa: F401
        dataset = DATASETS.build(dict(cfg.dataset, data_root=str(tmp_path)))
        model = MODELS.build(cfg.model)
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    for image, sample in zip(batch['inputs'], batch['data_samples']):
        hidden = torch.from_numpy(expand_patch_mask(sample.patch_mask, sample.patch_size, 56, 72))
        assert sample.masked is True and 0 < hidden.float().mean() < 1
        assert image[:, hidden].abs().max() < 0.01
        assert set(sample.gt_sem_seg.data.unique().tolist()) == {0, 1, 2}
    losses = model(**batch, mode='loss')
    losses['decode.loss_ce'].backward()
    assert torch.isfinite(losses['decode.loss_ce'])
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.decode_head.conv_seg.parameters())
    assert model.backbone.layer4[0].conv1.weight.grad.abs().sum() > 0


def test_mmdet_image_pipeline(tmp_path):
    path = str(tmp_path / '0.png')
    cv2.imwrite(path, np.full((40, 50, 3), 250, np.uint8))
    cfg = Config.fromstring("custom_imports = dict(imports=['mmvc'])\n", '.py')
    assert cfg.custom_imports.imports == ['mmvc']
    with DefaultScope.overwrite_default_scope('mmdet'):
        import mmdet.datasets.transforms  # noqa: F401
        pipeline = TRANSFORMS.build(
            dict(
                type='Compose',
                transforms=[
                    dict(type='LoadImageFromFile'),
                    dict(type='Resize', scale=(75, 60), keep_ratio=True),
                    dict(type='mmvc.RandomPatchMask', patch_size=16, prob=1.0),
                    dict(type='PackDetInputs', meta_keys=META_KEYS)
                ]))
    np.random.seed(0)
    packed = pipeline(dict(img_path=path))
    sample = packed['data_samples']
    assert set(sample.metainfo) == set(META_KEYS)
    hidden = torch.from_numpy(expand_patch_mask(sample.patch_mask, sample.patch_size, *sample.img_shape))
    assert sample.masked is True and sample.patch_mask.shape == (4, 5)
    assert (packed['inputs'][:, hidden] == torch.tensor([[104], [116], [124]])).all()
    assert (packed['inputs'][:, ~hidden] == 250).all()
