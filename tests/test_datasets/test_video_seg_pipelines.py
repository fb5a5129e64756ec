# Copyright (c) The mmvc contributors. All rights reserved.
"""From files to the model's inputs: the whole training and test pipelines on a small VSPW tree."""
import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from mmvc.registry import DATASETS, MODELS
from mmvc.utils.patch_mask import expand_patch_mask

CLASSES = ('floor', 'wall', 'cup')
LEVELS = (40, 120, 200)  # grey of the classes' pixels in the images of ``vspw_root``
SHARED = [
    dict(type='LoadFrameFromFile'),
    dict(type='LoadVideoSegAnnotations'),
    dict(
        type='RandomChoiceResize',
        scales=[(500, 96), (500, 72)],
        resize_type='mmdet.Resize',
        keep_ratio=True,
        interpolation='nearest'),  # as the masks, so that pixels can be compared
    dict(type='mmdet.RandomCrop', crop_size=(60, 70), crop_type='absolute_range'),
    dict(type='mmdet.RandomFlip', prob=0.5),
]


def build_dataset(root, num_frames=4, mask=None, test=False):
    if test:
        pipeline = [
            dict(type='SampleAllFrames'),
            dict(
                type='TransformBroadcaster',
                transforms=[
                    dict(type='LoadFrameFromFile'),
                    dict(type='mmdet.Resize', scale=(500, 72), keep_ratio=True)
                ])
        ]
    else:
        pipeline = [
            dict(type='SampleClip', num_frames=num_frames, frame_range=3),
            dict(type='TransformBroadcaster', share_random_params=True, transforms=SHARED)
        ]
    with DefaultScope.overwrite_default_scope('mmvc'):
        return DATASETS.build(
            dict(
                type='VSPWDataset',
                data_root=str(root),
                ann_file='train.txt',
                metainfo=dict(classes=CLASSES),
                test_mode=test,
                pipeline=[*pipeline, *([mask] if mask else []), dict(type='PackVideoSegInputs')]))


def build_preprocessor():
    return MODELS.build(
        dict(
            type='mmvc.VideoSegDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            pad_size_divisor=32))


@pytest.mark.parametrize('num_frames', [1, 4])
def test_training_clip(vspw_root, num_frames):
    dataset = build_dataset(vspw_root, num_frames)
    flips, sizes = set(), set()
    for seed in range(12):
        np.random.seed(seed)
        item = dataset[seed % 2]
        inputs, frames = item['inputs'].numpy(), list(item['data_samples'])
        assert inputs.shape[:2] == (num_frames, 3) and len(frames) == num_frames
        assert [frame.frame_id for frame in frames] == sorted(frame.frame_id for frame in frames)
        assert len({(frame.flip, frame.img_shape, frame.scale_factor, frame.video_id) for frame in frames}) == 1
        for image, frame in zip(inputs, frames):
            assert frame.ori_shape == (48, 80) and frame.img_shape == image.shape[1:]
            entities = frame.gt_instances
            assert entities.labels.tolist() == sorted(set(entities.instances_ids.tolist()))
            assert set(entities.labels.tolist()) <= {0, 1, 2}
            assert not entities.masks.masks.sum(axis=0).max() > 1
            for label, mask in zip(entities.labels.tolist(), entities.masks.masks):
                core = cv2.erode(np.pad(mask, 1), np.ones((5, 5), np.uint8))[1:-1, 1:-1].astype(bool)
                assert np.abs(image[:, core].astype(int) - LEVELS[label]).max(initial=0) < 25
        flips.add(frames[0].flip)
        sizes.add(frames[0].img_shape)
    assert flips == {True, False} and len(sizes) > 4


@pytest.mark.parametrize('mask', ['RandomPatchMask', 'TubeMask'])
def test_hidden_patches_are_zero_for_the_model(vspw_root, mask):
    dataset = build_dataset(vspw_root, mask=dict(type=mask, patch_size=16, prob=1))
    np.random.seed(0)
    clean = build_dataset(vspw_root)[0]['data_samples']
    np.random.seed(0)
    item = dataset[0]
    batch = build_preprocessor()(pseudo_collate([item]), training=True)
    for index, frame in enumerate(batch['data_samples'][0]):
        hidden = expand_patch_mask(frame.patch_mask, frame.patch_size, *frame.img_shape)
        image = batch['inputs'][0, index, :, :frame.img_shape[0], :frame.img_shape[1]].numpy()
        assert frame.masked is True
        assert 0 < hidden.mean() < 1
        assert np.abs(image[:, hidden]).max() < 0.01 < np.abs(image[:, ~hidden]).max(axis=0).min()
        target = frame.gt_instances.masks.masks[:, :frame.img_shape[0], :frame.img_shape[1]]
        assert (target == clean[index].gt_instances.masks.masks).all(), 'the target must stay whole'
    batch_shape = batch['data_samples'][0][0].batch_input_shape
    assert batch_shape == tuple(batch['inputs'].shape[-2:]) and not (batch_shape[0] % 32 or batch_shape[1] % 32)


class Model(BaseModel):

    def forward(self, *args, **kwargs):
        """Not used."""


@pytest.mark.parametrize('settings', [dict(mean=[10., 200., 30.], std=[9., 8., 7.]),
                                      dict(mean=[10., 200., 30.], std=[9., 8., 7.], bgr_to_rgb=False), dict()])
def test_hidden_patches_follow_the_normalisation_of_the_model_in_worker_processes(vspw_root, settings):
    dataset = build_dataset(vspw_root, mask=dict(type='TubeMask', patch_size=16, prob=1))
    model = Model(MODELS.build(dict(settings, type='mmvc.VideoSegDataPreprocessor')))
    data = next(iter(DataLoader(dataset, num_workers=1, collate_fn=pseudo_collate)))
    batch = model.data_preprocessor(data, training=True)
    for image, frame in zip(batch['inputs'][0], batch['data_samples'][0]):
        hidden = expand_patch_mask(frame.patch_mask, frame.patch_size, *frame.img_shape)
        assert 0 < hidden.mean() < 1
        assert (image[:, :frame.img_shape[0], :frame.img_shape[1]][:, torch.from_numpy(hidden)] == 0).all()


def test_whole_video_in_testing(vspw_root):
    dataset = build_dataset(vspw_root, test=True)
    batch = build_preprocessor()(pseudo_collate([dataset[0]]), training=False)
    assert batch['inputs'][0].shape == (7, 3, 72, 120)
    for index, frame in enumerate(batch['data_samples'][0]):
        assert 'gt_instances' not in frame
        assert (frame.frame_id, frame.video_id, frame.video_length) == (index, 'a', 7)
        assert frame.ori_shape == (48, 80) and frame.img_shape == (72, 120) and frame.scale_factor == (1.5, 1.5)
        assert frame.seg_map_path.endswith(f'data/a/mask/{index + 8:04d}.png')
        assert frame.batch_input_shape == (96, 128)


def test_a_wrong_class_id_stops_training(vspw_root):
    for path in (vspw_root / 'data/b/mask').iterdir():
        cv2.imwrite(str(path), np.full((48, 80), 9, np.uint8))
    with pytest.raises(ValueError, match=r'data/b/mask/\d+\.png" holds \[9\]'):
        build_dataset(vspw_root)[1]


def test_a_seed_reproduces_the_clip(vspw_root):
    dataset = build_dataset(vspw_root, mask=dict(type='RandomPatchMask', patch_size=16))
    inputs = []
    for _ in range(2):
        np.random.seed(5)
        inputs.append(dataset[0]['inputs'])
    assert (inputs[0] == inputs[1]).all()
