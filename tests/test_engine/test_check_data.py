# Copyright (c) The mmvc contributors. All rights reserved.
"""What a metric needs of a dataset is checked before the first step of a training, as before a test."""

import json
from types import SimpleNamespace

import pytest
import torch

from mmvc.engine.hooks import CheckDataHook
from mmvc.evaluation.metrics import ObjectMetric, VISMetric, VPSMetric, VSSMetric
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.tiny_datasets import CLASSES, build, write_vipseg, write_vis, write_vspw


def runner_of(dataset, *metrics):
    for metric in metrics:
        metric.dataset_meta = dataset.metainfo
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset), evaluator=SimpleNamespace(metrics=metrics))
    return SimpleNamespace(train_loop=None, val_loop=loop, test_loop=loop)


def refuses(runner, message, error=Exception):
    for moment in ('train', 'val', 'test'):
        with pytest.raises(error, match=message):
            getattr(CheckDataHook(), f'before_{moment}')(runner)


@pytest.fixture
def vipseg(tmp_path):
    write_vipseg(tmp_path)
    return tmp_path


def vps(root):
    return runner_of(build('vipseg', root, test_mode=True), VPSMetric(str(root / 'train.json')))


def test_whole_data_pass(tmp_path):
    write_vspw(tmp_path / 'vss')
    write_vipseg(tmp_path / 'vps')
    write_vis(tmp_path / 'vis')
    dataset = build('vspw', tmp_path / 'vss', test_mode=True)
    CheckDataHook().before_test(runner_of(dataset, VSSMetric()))
    CheckDataHook().before_val(vps(tmp_path / 'vps'))
    CheckDataHook().before_train(runner_of(build('vis', tmp_path / 'vis', test_mode=True),
                                           VISMetric(str(tmp_path / 'vis/train.json'))))
    CheckDataHook().before_train(SimpleNamespace(val_loop=None))


def test_frames_without_a_mask(tmp_path):
    write_vspw(tmp_path)
    (tmp_path / 'data/left/mask/1.png').unlink()
    dataset = build('vspw', tmp_path, test_mode=True)
    refuses(runner_of(dataset, VSSMetric()), 'left/origin/1.jpg" of video "left" has no ground truth', UsageError)
    CheckDataHook().before_test(runner_of(dataset, VSSMetric(format_only=True, output_dir='out')))  # must not raise


@pytest.mark.parametrize('path, message', [
    ('images/left/1.jpg', '1 frames of video "left" do not exist: .*images/left/1.jpg'),
    ('panomasksRGB/right/0.png', '1 masks of video "right" do not exist: .*panomasksRGB/right/0.png')])
def test_files_that_are_not_there(vipseg, path, message):
    (vipseg / path).unlink()
    refuses(vps(vipseg), message, FileNotFoundError)


def test_masks_that_are_not_annotated(vipseg):
    path = vipseg / 'train.json'
    content = json.loads(path.read_text())
    for part in ('videos', 'annotations'):
        frames = content[part][0]['images' if part == 'videos' else 'annotations']
        del frames[1]
    path.write_text(json.dumps(content))
    refuses(vps(vipseg), 'video "left": 1 masks in ".*panomasksRGB/left" are of frames that ".*" does not annotate: 1',
            DataError)


def test_classes_in_another_order(vipseg):
    runner = vps(vipseg)
    runner.val_loop.evaluator.metrics[0].dataset_meta = dict(classes=CLASSES[::-1])
    refuses(runner, 'classes of the dataset are not the categories of .*their order', UsageError)


def test_tracks_of_other_frames(tmp_path):
    write_vis(tmp_path)
    dataset = build('vis', tmp_path, test_mode=True)
    path = tmp_path / 'train.json'
    content = json.loads(path.read_text())
    metric = content['videos'][0]
    metric.update(height=24, width=32)
    path.write_text(json.dumps(content))
    refuses(runner_of(dataset, VISMetric(str(path))), r'left/0.jpg" has the width and height \(16, 12\)', DataError)
    metric['file_names'].append('left/2.jpg')
    for track in content['annotations'][:2]:
        track['segmentations'].append(None)
    path.write_text(json.dumps(content))
    refuses(runner_of(dataset, VISMetric(str(path))), 'video 1 has 2 frames in the dataset and 3 in', UsageError)


def test_objects_of_other_frames(tmp_path):
    write_vspw(tmp_path)
    (tmp_path / 'objects').mkdir()
    for video in ('left', 'right'):
        (tmp_path / f'objects/{video}.json').write_text(json.dumps([dict(id=1, category=0, visible=[1])]))
    dataset = build('vspw', tmp_path, test_mode=True)
    runner = runner_of(dataset, ObjectMetric(str(tmp_path / 'objects')))
    refuses(runner, 'shares for 1 frames, its video has 2', DataError)


def test_a_video_that_was_never_predicted(tmp_path):
    write_vspw(tmp_path)
    metric = VSSMetric(window_sizes=(2, ))
    dataset = build('vspw', tmp_path, test_mode=True)
    CheckDataHook().before_test(runner_of(dataset, metric))
    frames = [dict(image, video_id='left', pred_sem_seg=dict(sem_seg=torch.zeros(1, 12, 16, dtype=torch.uint8)))
              for image in dataset.get_data_info(0)['images']]
    metric.process(None, [dict(video_data_samples=frames)])
    with pytest.raises(UsageError, match='VSSMetric: 1 of 2 videos were not predicted: right'):
        metric.evaluate(2)


def test_two_videos_of_one_name(tmp_path):
    write_vspw(tmp_path)
    dataset = build('vspw', tmp_path, test_mode=True)
    video = dataset.get_data_info(0)
    with pytest.raises(UsageError, match='1 names of videos occur twice in the dataset: left'):
        VSSMetric().check_data([video, video])


def test_more_classes_than_files_can_hold():
    metric = VSSMetric(output_dir='out', num_classes=256)
    with pytest.raises(UsageError, match='256 classes do not fit the 8-bit PNGs'):
        metric.check_video(dict(images=[]))
