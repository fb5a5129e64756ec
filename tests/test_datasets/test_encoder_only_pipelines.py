# Copyright (c) The mmvc contributors. All rights reserved.
"""The pipelines of VidEoMT, PMT and LVMT: their sizes, and clips of generated videos that pass through them."""
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmvc.registry import DATASETS, TRANSFORMS
from tests.helpers.synthetic_sets import dataset_cfg, make_sets

PIPELINES = Path(__file__).parents[2] / 'configs/_base_/pipelines'
VIS, LARGE = (Config.fromfile(str(PIPELINES / f'encoder_only_{name}.py')) for name in ('vis', '720p'))


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_sets(tmp_path_factory.mktemp('sets'))


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmvc'):
        yield


def frames_after(transforms, size, seed, **extra):
    """Frames of a clip of 3 equal frames, whose pixels tell their row and column, after transforms."""
    np.random.seed(seed)
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(size[0])[:, None] % 251, np.arange(size[1]) % 251
    clip = dict(img=[image] * 3, img_shape=[size] * 3, **{key: [value] * 3 for key, value in extra.items()})
    return TRANSFORMS.build(dict(type='Compose', transforms=transforms))(clip)['img']


@pytest.mark.parametrize('cfg, task', [(VIS, 'vis'), (LARGE, 'vps'), (LARGE, 'vss')])
@pytest.mark.parametrize('name, num_frames', [('train_pipeline', 5), ('long_train_pipeline', 15)])
def test_clips_of_generated_videos(root, cfg, task, name, num_frames):
    np.random.seed(0)
    dataset = DATASETS.build(dataset_cfg(root, task, 'train', pipeline=cfg[name]))
    for sample in dataset:
        assert sample['inputs'].shape[:2] == (num_frames, 3)
        sides = tuple(sample['inputs'].shape[-2:])
        assert min(sides) in (range(320, 641) if task == 'vis' else range(480, 801))
        for frame in sample['data_samples']:
            entities = frame.gt_instances
            assert entities.masks.masks.shape == (len(entities), *sides)
            assert all(mask.any() for mask in entities.masks.masks)
        seen = [frame.frame_id for frame in sample['data_samples']]
        assert seen == sorted(seen), 'clips are never reversed'


def test_long_clips_repeat_frames_of_a_window_of_eleven():
    sample = TRANSFORMS.build(VIS.long_train_pipeline[0])
    clips = [sample.sample_indices(100) for _ in range(300)]
    assert all(len(clip) == 15 and len(set(clip)) <= 11 for clip in clips)
    assert VIS.long_train_pipeline[1:] == VIS.train_pipeline[1:]
    assert LARGE.long_train_pipeline[0] == VIS.long_train_pipeline[0]
    assert LARGE.long_train_pipeline[1:] == LARGE.train_pipeline[1:]


def test_training_sizes_of_vis_are_those_of_dvispp():
    of_dvispp = Config.fromfile(str(PIPELINES / 'dvispp_vis.py')).train_pipeline[1].transforms
    load, crop, resize, rotate = VIS.train_pipeline[1].transforms
    assert [load, resize, rotate] == [of_dvispp[i] for i in (0, 2, 3)]
    assert crop.prob == of_dvispp[1].prob == 0.5
    assert crop.transforms[0].transforms[0] == of_dvispp[1].transforms[0].transforms[0]


def test_the_crop_stands_still():
    crop = VIS.train_pipeline[1].transforms[1]
    whole, sizes = 0, set()
    for seed in range(60):
        first, *others = frames_after([crop], (720, 1280), seed)
        assert all(np.array_equal(first, other) for other in others)
        if first.shape[:2] == (720, 1280):
            whole += 1
        else:
            sizes.add(first.shape[:2])
    assert 15 <= whole <= 45
    assert all(384 <= side <= 600 for size in sizes for side in size) and len(sizes) > 15


def test_instances_outside_of_the_crop_are_absent(root):
    """Small frames: the crop then shows the whole frame, or, after enlarging, a part of it."""
    dataset = DATASETS.build(dataset_cfg(root, 'vis', 'train', pipeline=VIS.train_pipeline))
    counts = set()
    for seed in range(30):
        np.random.seed(seed)
        counts.add(len(dataset[0]['data_samples'][0].gt_instances))
    assert len(counts) > 1


def test_large_frames_are_not_cropped():
    _, _, resize, flip = LARGE.train_pipeline[1].transforms
    of_dvispp = Config.fromfile(str(PIPELINES / 'dvispp_720p.py'))
    assert [resize, flip] == of_dvispp.train_pipeline[1].transforms[2:]
    assert LARGE.test_pipeline == of_dvispp.test_pipeline
    together = dict(type='TransformBroadcaster', share_random_params=True, transforms=[resize, flip])
    for seed in range(10):
        first, *others = frames_after([together], (480, 854), seed)
        assert all(np.array_equal(first, other) for other in others)
        assert first.shape[1] == pytest.approx(first.shape[0] * 854 / 480, abs=1)


@pytest.mark.parametrize('short_side', [448, 480, 544])
def test_test_sizes_of_vis(short_side):
    resize = VIS.test_pipelines[f'short{short_side}'][1].transforms[1]
    broadcaster = dict(type='TransformBroadcaster', transforms=[resize])
    frame, *_ = frames_after([broadcaster], (720, 1280), 0)
    assert frame.shape[:2] == (short_side, round(short_side * 16 / 9))
    frame, *_ = frames_after([broadcaster], (300, 1500), 0)
    assert frame.shape[1] == 1333, 'the longest side'
