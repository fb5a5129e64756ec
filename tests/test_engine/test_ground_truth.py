# Copyright (c) The mmvc contributors. All rights reserved.
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.registry import init_default_scope
from torch import nn

from mmvc.engine.ground_truth import GroundTruth
from mmvc.engine.hooks import VideoSegVisualizationHook
from mmvc.visualization import PanelDrawer
from tests.helpers.synthetic_sets import META, NUM_FRAMES, SIZE, THINGS, dataset_cfg, make_sets


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    return make_sets(tmp_path_factory.mktemp('sets'))


@pytest.fixture(autouse=True)
def scope(process_state):
    init_default_scope('mmvc')


def test_the_tasks_show_the_same(sets):
    """The three formats hold the same videos: same classes everywhere, same tracks of things."""
    truths = {task: GroundTruth(dataset_cfg(sets, task)) for task in ('vss', 'vps', 'vis')}
    assert {task: truth.task for task, truth in truths.items()} == {task: task for task in truths}
    for number in range(2):
        for t in range(NUM_FRAMES):
            vss, vps, vis = (truth.segments(truth.videos[number], t, SIZE) for truth in truths.values())
            assert (vss.class_map(255) == vps.class_map(255)).all()
            things = np.isin(vps.class_map(255), [META['classes'].index(name) for name in THINGS])
            assert (np.isin(vps.ids, list(vps.tracks)) == things).all()
            assert not vss.tracks and vis.tracks == set(vis.classes)
            names = truths['vis'].dataset.metainfo['classes']
            for index in vis.present():  # an instance is one segment
                there = np.setdiff1d(vps.ids[vis.ids == index], 0)  # borders are void there
                assert len(there) <= 1
                assert all(META['classes'][vps.classes[segment]] == names[vis.classes[index]] for segment in there)


def test_images_and_unknown_videos(sets):
    truth = GroundTruth(dict(type='AnyWrapper', dataset=dataset_cfg(sets, 'vss', pipeline=[dict(type='Unused')])))
    assert truth.image(truth.videos[0], 1).shape == (*SIZE, 3) and len(truth.frames(truth.videos[0])) == NUM_FRAMES
    with pytest.raises(ValueError, match='no video "elsewhere"'):
        truth.frames('elsewhere')


def test_several_datasets_in_one(sets):
    first, second = dataset_cfg(sets, 'vss'), dataset_cfg(sets, 'vss', 'train')
    both = dict(type='ConcatDataset', datasets=[first, dict(type='RepeatDataset', times=2, dataset=second)])
    parts, truth = [GroundTruth(first), GroundTruth(second)], GroundTruth(both)
    assert truth.videos == [*parts[0].videos, *parts[1].videos]
    assert [truth.index(video) for video in truth.videos] == list(range(len(truth.videos)))
    video = parts[1].videos[-1]
    assert truth.frames(video) == parts[1].frames(video)
    assert (truth.segments(video, 0, SIZE).ids == parts[1].segments(video, 0, SIZE).ids).all()


def test_datasets_without_annotations_show_none(sets, tmp_path):
    shutil.copytree(sets / 'ytvis', tmp_path / 'ytvis')
    path = tmp_path / 'ytvis/valid/instances.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), annotations=None)))
    truth = GroundTruth(dataset_cfg(tmp_path, 'vis'))
    assert truth.segments(truth.videos[0], 0, SIZE) is None
    with pytest.raises(FileNotFoundError, match='nowhere'):
        GroundTruth(dict(dataset_cfg(sets, 'vss'), data_root='nowhere'))


def test_image_datasets_are_read_as_videos(sets):
    pytest.importorskip('mmseg')
    truth = GroundTruth(dict(dataset_cfg(sets, 'vss'), type='mmvc.VSPWImageDataset'))
    assert truth.segments(truth.videos[0], 0, SIZE).present()


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_hook_shows_the_truth_of_every_task(sets, tmp_path, task):
    """The datasets are those of a test: without annotations."""
    cfg = dataset_cfg(sets, task, test_mode=True, pipeline=[])
    truth = GroundTruth(cfg)
    video, meta = truth.videos[0], truth.dataset.metainfo
    frames = [DetDataSample(metainfo=dict(video_id=video, frame_id=t, img_path=path, ori_shape=SIZE))
              for t, path in enumerate(truth.frames(video))]
    runner = SimpleNamespace(test_dataloader=SimpleNamespace(dataset=SimpleNamespace(metainfo=meta)),
                             visualizer=None, model=nn.Module(), cfg=dict(test_dataloader=dict(dataset=cfg)))
    hook = VideoSegVisualizationHook(str(tmp_path))
    hook.after_test_iter(runner, 0, outputs=[TrackDataSample(video_data_samples=frames)])
    drawer = PanelDrawer(meta['classes'], meta['palette'])
    image = truth.image(video, 1)
    expected = drawer.draw(image, truth.segments(video, 1, SIZE))
    panel = cv2.imread(str(tmp_path / video / f'{Path(frames[1].img_path).stem}.jpg'))
    shown = panel[24:24 + 240, 320:640, ::-1]
    assert np.abs(shown[:, 2:].astype(int) - expected[:, 2:]).mean() < 5  # but for the compression
    assert np.abs(drawer.resize(image)[:, 2:].astype(int) - expected[:, 2:]).mean() > 10
    legend = drawer.legend(*(truth.segments(video, t, SIZE) for t in range(NUM_FRAMES))).draw(640)
    assert panel.shape == (264 + len(legend), 640, 3)
