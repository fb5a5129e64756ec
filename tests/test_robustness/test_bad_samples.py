# Copyright (c) The mmvc contributors. All rights reserved.
import json
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from mmvc.datasets import JointDataset, VSPWDataset
from mmvc.datasets.bad_samples import REPLACED_KEY, BadSampleError
from tests.helpers.stopped_tool import Stopped
from tests.helpers.tiny_training import write_config, write_videos

PIPELINE = [
    dict(type='SampleAllFrames'),
    dict(type='TransformBroadcaster',
         transforms=[dict(type='LoadFrameFromFile'), dict(type='LoadVideoSegAnnotations')]),
    dict(type='PackVideoSegInputs')
]


@pytest.fixture
def root(tmp_path):
    write_videos(tmp_path / 'videos')
    return tmp_path / 'videos'


@pytest.fixture
def train(run, root, tmp_path):
    config = write_config(tmp_path)

    def train_tiny(*options, work_dir='work', arguments=()):
        run('train', config, '--data-root', root, '--work-dir', tmp_path / work_dir, *arguments, '--cfg-options',
            'default_hooks.checkpoint.interval=2', *options)
        return tmp_path / work_dir

    return train_tiny


def build(root, **options):
    metainfo = dict(classes=('dark', 'bright'))
    with DefaultScope.overwrite_default_scope('mmvc'):
        return VSPWDataset(data_root=str(root), ann_file='train.txt', img_suffix='.png', metainfo=metainfo,
                           pipeline=options.pop('pipeline', PIPELINE), **options)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


def log_of(work_dir):
    return '\n'.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


DAMAGES = dict(
    vanished=(lambda root: (root / 'data/b/origin/1.png').unlink(), 'b/origin/1.png'),
    truncated=(lambda root: truncate(root / 'data/b/origin/1.png'), 'b/origin/1.png'),
    size=(lambda root: cv2.imwrite(str(root / 'data/b/mask/2.png'), np.ones((4, 4), np.uint8)), 'b/mask/2.png'),
    unknown_id=(lambda root: cv2.imwrite(str(root / 'data/b/mask/2.png'), np.full((16, 24), 9, np.uint8)),
                r'b/mask/2.png" holds [9]'),
    frames_differ=(lambda root: [cv2.imwrite(str(root / f'data/b/{kind}/2.png'), np.ones((8, 8), np.uint8))
                                 for kind in ('origin', 'mask')], 'differ in size'))


@pytest.mark.parametrize('damage', DAMAGES)
def test_the_first_bad_sample_is_an_error_that_names_it(root, damage):
    break_it, message = DAMAGES[damage]
    dataset = build(root)
    break_it(root)
    dataset[0]
    with pytest.raises(BadSampleError, match='video "b".*' + re.escape(message) + '.*max_bad_samples'):
        dataset[1]


def test_a_bad_sample_is_replaced_by_the_next_good_one(root):
    dataset = build(root, max_bad_samples=2)
    for video in 'bc':
        truncate(root / f'data/{video}/mask/0.png')
    for _ in range(2):
        sample = dataset[1]['data_samples']
        assert sample.video_data_samples[0].video_id == 'd'
        names = [name for name, _ in sample.metainfo[REPLACED_KEY]]
        assert [name.split(' (')[0] for name in names] == ['video "b"', 'video "c"']
    assert REPLACED_KEY not in dataset[0]['data_samples'].metainfo
    truncate(root / 'data/d/mask/0.png')
    with pytest.raises(BadSampleError, match='d/mask/0.png.*number 3, max_bad_samples of the dataset is 2'):
        dataset[3]


def test_a_loop_over_the_dataset_ends(root):
    dataset = build(root, max_bad_samples=1)
    assert len(list(dataset)) == len(dataset) == 4
    with pytest.raises(IndexError, match='has 4 samples, asked for number 4'):
        dataset[4]


def test_no_sample_is_left(root):
    dataset = build(root, max_bad_samples=100)
    for path in root.glob('data/*/mask/0.png'):
        path.unlink()
    with pytest.raises(BadSampleError, match='cannot be loaded'):
        dataset[0]


def test_mistakes_in_the_code_are_not_replaced(root):
    def broken(results):
        raise KeyError('a mistake')

    with pytest.raises(KeyError, match='a mistake'):
        build(root, max_bad_samples=3, pipeline=[broken])[0]


def test_what_cannot_be_marked_is_not_replaced(root):
    dataset = build(root, max_bad_samples=3, pipeline=PIPELINE[:-1])
    (root / 'data/b/origin/1.png').unlink()
    with pytest.raises(BadSampleError, match='not replaced, because the pipeline does not end in PackVideoSegInputs'):
        dataset[1]


def test_a_pipeline_that_returns_nothing(root):
    with pytest.raises(BadSampleError, match='its pipeline returned None'):
        build(root, pipeline=[lambda results: None])[0]


@pytest.mark.parametrize('options, message', [
    (dict(max_bad_samples=1, test_mode=True), 'numbers over a part of the videos'),
    (dict(max_bad_samples=-1), 'must be a whole number from 0, got -1'),
    (dict(max_refetch=3), 'use max_bad_samples'),
])
def test_wrong_limits(root, options, message):
    with pytest.raises(ValueError, match=message):
        build(root, **options)


def test_joint_datasets(root):
    with DefaultScope.overwrite_default_scope('mmvc'):
        joint = [JointDataset([build(root), build(root)], ratio=(1, 1), pipeline=PIPELINE, max_bad_samples=limit)
                 for limit in (0, 1)]
    truncate(root / 'data/b/mask/0.png')
    with pytest.raises(BadSampleError, match='b/mask/0.png'):
        joint[0][5]
    sample = joint[1][5]['data_samples']
    assert sample.video_data_samples[0].video_id == 'c' and len(sample.metainfo[REPLACED_KEY]) == 1


@pytest.mark.parametrize('workers', [0, 2])
def test_training_stops_at_the_first_bad_sample(root, train, workers):
    truncate(root / 'data/b/mask/0.png')
    truncate(root / 'data/b/mask/1.png')
    with pytest.raises(Stopped) as caught:
        train(f'train_dataloader.num_workers={workers}')
    message = str(caught.value)
    assert message.startswith('error: video "b"') and '\n' not in message
    assert re.search(r'b/mask/[01]\.png', message)


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_training_logs_and_counts_what_it_replaces(root, train, workers):
    for video in 'bc':
        for index in range(3):
            truncate(root / f'data/{video}/mask/{index}.png')
    options = [f'train_dataloader.num_workers={workers}', 'train_dataloader.dataset.max_bad_samples=2']
    work_dir = train(*options)
    log = log_of(work_dir)
    assert len(re.findall(r'bad sample 1 of at most 2: video "[bc]" .*mask/\d\.png', log)) == 1
    assert len(re.findall(r'bad sample 2 of at most 2: video "[bc]"', log)) == 1
    scalars = [json.loads(line) for path in work_dir.glob('*/vis_data/scalars.json')
               for line in path.read_text().splitlines()]
    assert scalars[-1]['bad_samples'] == 2


def test_the_limit_holds_over_resumed_trainings(root, train):
    for index in range(3):
        truncate(root / f'data/b/mask/{index}.png')
    limit = 'train_dataloader.dataset.max_bad_samples=1'
    work_dir = train('train_cfg.max_iters=4', limit)
    assert 'bad sample 1 of at most 1: video "b"' in log_of(work_dir)
    for index in range(3):  # the first is mended, and another breaks
        (root / f'data/b/mask/{index}.png').write_bytes((root / f'data/a/mask/{index}.png').read_bytes())
        truncate(root / f'data/c/mask/{index}.png')
    message = 'error: 2 samples cannot be loaded, but max_bad_samples of the training set is 1'
    with pytest.raises(Stopped, match=message):
        train('train_cfg.max_iters=12', limit, arguments=['--resume'])


@pytest.mark.slow
def test_replacing_is_the_same_again_and_after_resuming(root, train):
    for index in range(3):
        truncate(root / f'data/b/mask/{index}.png')
    limit = 'train_dataloader.dataset.max_bad_samples=1'
    weights = []
    for workers, steps in ((0, (6, )), (2, (6, )), (0, (4, 6))):
        name = f'work_{workers}_{len(steps)}'
        for number, last in enumerate(steps):
            train(limit, f'train_dataloader.num_workers={workers}', f'train_cfg.max_iters={last}', work_dir=name,
                  arguments=['--resume'] if number else [])
        weights.append(torch.load(root.parent / name / 'iter_6.pth', weights_only=False)['state_dict'])
    for others in weights[1:]:
        assert all(torch.equal(value, others[name]) for name, value in weights[0].items())
