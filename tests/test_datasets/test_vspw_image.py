# Copyright (c) The mmvc contributors. All rights reserved.
"""VSPW frame by frame: an MMSegmentation model trains on it and is scored video by video."""
from unittest import mock

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope

from mmvc.datasets import WholeVideoSampler
from mmvc.registry import DATA_SAMPLERS
from mmvc.utils.errors import DataError

CLASSES = ('floor', 'wall', 'cup')
CONFIG = """
custom_imports = dict(imports=['mmvc'])
default_scope = 'mmseg'
norm = dict(type='BN', requires_grad=True)
dataset = dict(type='mmvc.VSPWImageDataset', ann_file='train.txt', metainfo=dict(classes=('floor', 'wall', 'cup')))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmvc.RandomPatchMask', patch_size=16, prob=1.0),
    dict(type='PackSegInputs', meta_keys=('img_path', 'img_shape', 'masked'))
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackSegInputs', meta_keys=('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'video_id', 'frame_id',
                                          'video_length'))
]
metric = dict(type='mmvc.VSSMetric', window_sizes=(2, ))
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[120.] * 3, std=[60.] * 3, bgr_to_rgb=True, size=(48, 80)),
    backbone=dict(type='ResNetV1c', depth=18, base_channels=8, stem_channels=8, norm_cfg=norm),
    decode_head=dict(
        type='FCNHead', in_channels=64, channels=8, num_convs=1, num_classes=3, norm_cfg=norm,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)),
    test_cfg=dict(mode='whole'))
"""


@pytest.fixture
def cfg():
    cfg = Config.fromstring(CONFIG, '.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        import mmseg.models  # noqa: F401
        yield cfg


def build(cfg, root, pipeline=(), **kwargs):
    return DATASETS.build(dict(cfg.dataset, data_root=str(root), pipeline=list(pipeline), **kwargs))


def test_one_item_per_frame_in_order(cfg, vspw_root):
    dataset = build(cfg, vspw_root, test_mode=True)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [(info['video_id'], info['frame_id'], info['video_length']) for info in infos] == [
        *(('a', t, 7) for t in range(7)), *(('b', t, 3) for t in range(3))]
    assert infos[8]['seg_map_path'] == f'{vspw_root}/data/b/mask/0009.png'
    assert dataset.metainfo['classes'] == CLASSES and dataset.metainfo['label_offset'] == 1
    assert len(DATASETS.build(dict(cfg.dataset, data_root=str(vspw_root), metainfo=None)).metainfo['classes']) == 124


def test_stray_mask_values_are_void(cfg, vspw_root):
    values = np.array([0, 1, 3, 252, 253, 254, 255, 2], np.uint8)
    for path in (vspw_root / 'data/a/mask').iterdir():
        cv2.imwrite(str(path), np.tile(values, (48, 10)))
    dataset = build(cfg, vspw_root, cfg.train_pipeline[:2])
    assert dataset[0]['gt_seg_map'][0, :8].tolist() == [255, 0, 2, 255, 255, 255, 255, 1]


@pytest.mark.parametrize('mask, message', [
    (np.full((48, 80), 4, np.uint8), r'000\d.png" holds \[4\], which are neither classes nor void'),
    (np.full((48, 80), 1, np.uint16) * 258, 'holds the value 258 with more than 8 bits'),
    (np.full((40, 80), 1, np.uint8), 'differs in size from its frame'),
])
def test_masks_are_checked_like_those_of_video_models(cfg, vspw_root, mask, message):
    """MMSegmentation's loader takes any values, and those of 16 bits modulo 256."""
    for path in (vspw_root / 'data/a/mask').iterdir():
        cv2.imwrite(str(path), mask)
    dataset = build(cfg, vspw_root, cfg.train_pipeline)
    assert dataset[8] is not None
    with pytest.raises(DataError, match=message):
        dataset[0]
    assert build(cfg, vspw_root, cfg.test_pipeline, test_mode=True)[0] is not None


def test_training_step_and_score(cfg, vspw_root):
    model = MODELS.build(cfg.model)
    train = build(cfg, vspw_root, cfg.train_pipeline)
    batch = model.data_preprocessor(pseudo_collate([train[0], train[8]]), training=True)
    assert all(sample.masked is True for sample in batch['data_samples'])
    assert set(batch['data_samples'][0].gt_sem_seg.data.unique().tolist()) == {0, 1, 2, 255}
    loss = model(**batch, mode='loss')['decode.loss_ce']
    loss.backward()
    assert loss.isfinite() and model.backbone.layer4[0].conv1.weight.grad.abs().sum() > 0

    test = build(cfg, vspw_root, cfg.test_pipeline, test_mode=True)
    metric = METRICS.build(cfg.metric)
    metric.dataset_meta = test.metainfo
    model.eval()
    for index in WholeVideoSampler(test):
        data = model.data_preprocessor(pseudo_collate([test[index]]))
        (prediction, ) = model(**data, mode='predict')
        if index == 0:
            pred = prediction.pred_sem_seg.data
            assert pred.shape == (1, 48, 80)
        prediction.pred_sem_seg.data = truth_of(test.get_data_info(index), pred)
        metric.process(None, [prediction.to_dict()])
    numbers = metric.evaluate(len(test))
    assert numbers['vss/mIoU'] == pytest.approx(100) and numbers['vss/VC2'] == pytest.approx(100)


def truth_of(info, like):
    """The labels of a frame in place of a prediction; void becomes class 0."""
    raw = cv2.imread(info['seg_map_path'], cv2.IMREAD_UNCHANGED)
    return like.new_tensor(np.maximum(raw, 1).astype(np.int64) - 1)[None]


class Frames:
    """Frames of videos of given lengths."""

    def __init__(self, lengths):
        self.infos = [dict(video_id=str(v), video_length=n) for v, n in enumerate(lengths) for _ in range(n)]

    def __len__(self):
        return len(self.infos)

    def get_data_info(self, index):
        return self.infos[index]


@pytest.mark.parametrize('lengths', [(7, 3), (1, 1, 1, 1), (5, 20, 5, 2, 9), (40, )])
@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_every_video_is_on_one_rank(lengths, world_size):
    dataset, owners = Frames(lengths), {}
    everything = []
    for rank in range(world_size):
        with mock.patch('mmvc.datasets.samplers.whole_video_sampler.get_dist_info', return_value=(rank, world_size)):
            sampler = DATA_SAMPLERS.build(dict(type='WholeVideoSampler', dataset=dataset, seed=0))
        indices = list(sampler)
        assert len(sampler) == len(indices) and indices == sorted(indices)
        everything += indices
        for index in indices:
            assert owners.setdefault(dataset.infos[index]['video_id'], rank) == rank
        assert len(indices) < len(dataset) / world_size + max(lengths)
    assert sorted(everything) == list(range(len(dataset)))


def test_parts_of_videos_are_refused(cfg, vspw_root):
    with pytest.raises(ValueError, match='all 7 frames of video "a"'):
        WholeVideoSampler(build(cfg, vspw_root, indices=5, test_mode=True))
