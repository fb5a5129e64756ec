# Copyright (c) The mmvc contributors. All rights reserved.
import json

import cv2
import numpy as np
import pytest
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import PixelData

from mmvc.evaluation.functional import count_fragments, count_switches, main_labels, occlusion_regions, pixels_of
from mmvc.registry import METRICS

IDS = np.array([[0, 1, 1, 2], [3, 1, 1, 2]])


def test_regions_by_occlusion():
    assert pixels_of(IDS, [0, 3]).tolist() == [[False] * 4, [True] + [False] * 3]
    regions = occlusion_regions(IDS, {1: 0.95, 2: 0.5, 3: 0.4})
    assert regions['clear'].tolist() == (IDS == 1).tolist()
    assert regions['occluded'].tolist() == np.isin(IDS, [2, 3]).tolist()
    assert regions['severe'].tolist() == (IDS == 3).tolist()


def test_fragments():
    # object 1 is whole, object 2 has two labels, one of them in two places, object 3 is cut into two parts
    ids = np.array([[1, 1, 0, 2, 2, 2, 0, 3, 0, 3]] * 2)
    pred = np.array([[4, 4, 0, 5, 6, 5, 0, 7, 0, 7]] * 2)
    assert count_fragments(ids, pred) == {1: (1, 1), 2: (3, 1), 3: (2, 2)}
    # diagonal neighbours are connected
    assert count_fragments(np.ones((2, 2), int), np.array([[1, 2], [2, 1]])) == {1: (2, 1)}


def test_small_fragments_are_left_out():
    ids, pred = np.ones((10, 10), int), np.zeros((10, 10), int)
    pred[0, 0] = 1  # 1 %
    assert count_fragments(ids, pred) == {1: (1, 1)}
    pred[0, 1] = 1  # 2 %
    assert count_fragments(ids, pred) == {1: (2, 1)}


def test_main_labels():
    pred = np.array([[9, 4, 4, 6], [255, 4, 5, 5]])
    assert main_labels(IDS, pred, void=255) == {1: 4, 2: 5, 3: None}
    assert main_labels(IDS, pred) == {1: 4, 2: 5, 3: 255}


@pytest.mark.parametrize('labels, expected', [
    ([], (0, 0)), ([None, 1], (0, 0)), ([1, 1, 1], (0, 2)), ([1, 2, 1], (2, 2)), ([1, None, 2, None, 2], (1, 2))])
def test_switches(labels, expected):
    assert count_switches(labels) == expected


@pytest.fixture
def object_dir(tmp_path):
    """Three frames with a thing of class 0, clear, and one of class 1: clear, hidden by half, and gone."""
    ids = np.zeros((3, 2, 6), np.uint8)
    ids[:, :, :2] = 1
    ids[0, :, 2:6] = 2
    ids[1, :, 2:4] = 2
    (tmp_path / 'v').mkdir()
    for t, frame in enumerate(ids):
        cv2.imwrite(str(tmp_path / 'v' / f'{t}.png'), frame)
    things = [dict(id=1, category=0, cue='context', visible=[1, 1, 1]),
              dict(id=2, category=1, cue='', visible=[1, 0.4, None])]
    (tmp_path / 'v.json').write_text(json.dumps(things))
    return str(tmp_path)


def video(preds, field):
    track, frames = TrackDataSample(), []
    for t, pred in enumerate(preds):
        frame = DetDataSample(metainfo=dict(video_id='v', frame_id=t, video_length=3, img_path=f'x/{t}.jpg'))
        name = dict(pred_sem_seg='sem_seg', pred_panoptic_seg='panoptic_seg')[field]
        setattr(frame, field, PixelData(**{name: np.asarray(pred)[None]}))
        frames.append(frame)
    track.video_data_samples = frames
    return track


def score(object_dir, preds, field='pred_sem_seg'):
    metric = METRICS.build(dict(type='ObjectMetric', object_dir=object_dir, num_classes=3))
    metric.process(None, [video(preds, field)])
    return metric.evaluate(1)


def test_metric_by_hand(object_dir):
    preds = np.full((3, 2, 6), 2)
    preds[0, :, :2], preds[0, :, 2:] = 0, 1  # frame 0 is right
    preds[1, :, :2] = 0
    preds[1, 0, 2:4] = 1  # half of the hidden thing is right, the rest of it is class 2
    preds[2, :, :2] = 1  # the first thing has another class now
    numbers = score(object_dir, preds)
    # clear: class 0 has 12 pixels, 8 right; class 1 has 8, all right, and 4 more of class 0
    assert numbers['objects/mIoU_clear'] == pytest.approx(100 * (8 / 12 + 8 / 12) / 2)
    assert numbers['objects/mIoU_occluded'] == numbers['objects/mIoU_severe'] == pytest.approx(50)
    assert numbers['objects/mAcc_context'] == pytest.approx(100 * 8 / 12)
    # parts: 2 + 2 + 1, the hidden thing has two segments
    assert numbers['objects/fragments'] == pytest.approx(6 / 5)
    # thing 1: 0, 0, 1; thing 2: 1, then 1 and 2 alike (the smaller one wins)
    assert numbers['objects/class_switches'] == pytest.approx(100 * 1 / 3)


def test_metric_of_segment_ids(object_dir):
    preds = np.zeros((3, 2, 6), np.int32)
    preds[0, :, :2], preds[0, :, 2:] = 70000, 5
    preds[1, :, :2], preds[1, :, 2:4] = 5, 70000  # they change places
    preds[2, :, :2] = 0  # lost
    numbers = score(object_dir, preds, 'pred_panoptic_seg')
    assert numbers == {'objects/fragments': 1.0, 'objects/identity_switches': 100.0}


def test_missing_objects_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='--with-objects'):
        score(str(tmp_path), np.zeros((3, 2, 6), int))
