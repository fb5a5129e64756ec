# Copyright (c) The mmvc contributors. All rights reserved.
import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvc.analysis.comparison import (
    MODEL_COLORS,
    WRONG,
    SegmentMatcher,
    VideoComparison,
    draw_differences,
    find_wrong,
    rename_segments,
)
from mmvc.analysis.predictions import open_predictions
from mmvc.engine.ground_truth import GroundTruth
from mmvc.formats.label_maps import encode_panoptic_map
from mmvc.visualization import PanelDrawer, SegmentMap
from tests.helpers.synthetic_sets import NUM_FRAMES, SIZE, dataset_cfg

HALF = SIZE[1] // 2


def shifted(ids, void):
    """Wrong in the left half: nothing is seen there."""
    ids = ids.copy()
    ids[:, :HALF] = void
    return ids


def write_predictions(folder, truth, task, spoil=None):
    """Write the ground truth of all videos as a prediction, with other ids, spoiled where asked for."""
    detections, videos = [], []
    for video in truth.videos:
        frames, tracks = [], {}
        order = sorted({index for t in range(NUM_FRAMES) for index in truth.segments(video, t, SIZE).classes})
        for t, path in enumerate(truth.frames(video)):
            segments, name = truth.segments(video, t, SIZE), path.rsplit('/', 1)[1][:-4]
            if task == 'vss':
                ids = segments.ids if spoil is None else spoil(segments.ids, 255)
                (folder / video).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / video / f'{name}.png'), ids)
            elif task == 'vps':
                ids = np.zeros(SIZE, np.int32)
                for index in segments.present():
                    ids[segments.ids == index] = order.index(index) + 1
                ids = ids if spoil is None else spoil(ids, 0)
                path = folder / 'pan_pred' / video / f'{name}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_panoptic_map(ids))
                frames.append(dict(file_name=f'{name}.png', segments_info=[
                    dict(id=order.index(index) + 1, category_id=label) for index, label in segments.classes.items()]))
            else:
                ids = segments.ids if spoil is None else spoil(segments.ids, -1)
                for index in segments.present():
                    rle = mask_utils.encode(np.asfortranarray(ids == index, dtype=np.uint8))
                    track = tracks.setdefault(index, dict(
                        video_id=int(video), category_id=segments.classes[index] + 1, score=0.9,
                        segmentations=[None] * NUM_FRAMES))
                    track['segmentations'][t] = dict(size=list(SIZE), counts=rle['counts'].decode())
        videos.append(dict(video_id=video, annotations=frames))
        detections += reversed(tracks.values())
    folder.mkdir(exist_ok=True)
    if task == 'vps':
        (folder / 'pred.json').write_text(json.dumps(dict(annotations=videos)))
    elif task == 'vis':
        unsure = dict(detections[0], score=0.1, category_id=1 + detections[0]['category_id'] % 6)
        unseen = dict(detections[0], segmentations=[[]] * NUM_FRAMES)
        (folder / 'results.json').write_text(json.dumps([unsure, unseen, *detections]))
    return folder


def test_segments_are_matched_one_to_one_within_a_class():
    truth = SegmentMap(np.array([[1, 1, 1, 2, 2, 3]]), {1: 0, 2: 0, 3: 1}, frozenset((1, 2)))
    other = SegmentMap(np.array([[7, 7, 8, 8, 8, 9]]), {7: 0, 8: 0, 9: 0}, frozenset((7, 8, 9)))
    matcher = SegmentMatcher()
    matcher.add(truth, other)
    assert matcher.match() == {7: 1, 8: 2}  # 9 lies on another class
    matcher.add(truth, SegmentMap(np.array([[8, 8, 8, 7, 7, 9]]), other.classes, other.tracks))
    matcher.add(truth, SegmentMap(np.array([[8, 8, 8, 7, 7, 9]]), other.classes, other.tracks))
    assert matcher.match() == {8: 1, 7: 2}  # most frames decide
    assert SegmentMatcher().match() == {}


def test_renamed_and_wrong_pixels():
    truth = SegmentMap(np.array([[1, 1, 2, -1, -1]]), {1: 0, 2: 1}, frozenset((1, 2)))
    other = SegmentMap(np.array([[7, 8, 8, 8, -1]]), {7: 0, 8: 1}, frozenset((7, 8)))
    renamed = rename_segments(other, {7: 1, 8: 2})
    assert renamed.ids.tolist() == [[1, 2, 2, 2, -2]] and renamed.classes == {1: 0, 2: 1} and renamed.tracks == {1, 2}
    assert find_wrong(truth, renamed, with_void=True).tolist() == [[False, True, False, True, False]]
    assert find_wrong(truth, renamed, with_void=False).tolist() == [[False, True, False, False, False]]


def test_differences_have_the_color_of_who_is_right():
    wrong = np.array([[[0, 1, 0, 1]], [[0, 0, 1, 1]]], bool)
    out = draw_differences(np.full((1, 4, 3), 100, np.uint8), wrong)
    assert out[0].tolist() == [[50] * 3, list(MODEL_COLORS[1]), list(MODEL_COLORS[0]), list(WRONG)]


@pytest.mark.parametrize('task', ['vss', 'vps', 'vis'])
def test_official_formats(sets, tmp_path, task):
    """What is read back is the truth; the model that sees only the right half is wrong in the left one."""
    truth = GroundTruth(dataset_cfg(sets, task))
    folders = {'good': write_predictions(tmp_path / 'good', truth, task),
               'bad': write_predictions(tmp_path / 'bad', truth, task, shifted)}
    models = {name: open_predictions(folder, truth) for name, folder in folders.items()}
    video = truth.videos[0]
    name = truth.frames(video)[1].rsplit('/', 1)[1][:-4]
    expected = truth.segments(video, 1, SIZE)
    read = models['good'].segments(video, 1, name, SIZE)
    assert (read.class_map(255) == expected.class_map(255)).all()
    assert len(read.tracks & set(read.present())) == len(expected.tracks & set(expected.present()))
    meta = truth.dataset.metainfo
    drawer = PanelDrawer(meta['classes'], meta['palette'], alpha=1., min_width=64, labels=False)
    path, right = VideoComparison(truth, models, drawer).write(video, str(tmp_path / 'out'), 'frames')
    assert right['good'] == 1 and 0.2 < right['bad'] < 0.95
    files = sorted(path.glob('*.png'))
    assert len(files) == NUM_FRAMES
    panel = cv2.imread(str(files[1]))[24:24 + SIZE[0], :, ::-1]
    image, shown_truth, good, bad, differences = np.split(panel[:, :5 * 64], 5, axis=1)
    assert (good[:, 1:-1] == shown_truth[:, 1:-1]).all()  # matched segments have the colours of the truth
    spoiled = SegmentMap(shifted(expected.ids.astype(np.int32), -3), expected.classes, expected.tracks)
    wrong = find_wrong(expected, rename_segments(spoiled, {index: index for index in expected.classes}), task == 'vis')
    marked = (differences == MODEL_COLORS[0]).all(-1)  # only the good one is right
    assert (marked[:, 1:-1] == wrong[:, 1:-1]).all() and wrong[:, :HALF].any()
    assert (bad == WRONG).all(-1)[:, 1:HALF - 1].any() and not (bad == WRONG).all(-1)[:, HALF + 1:-1].any()
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY) // 2
    assert (differences[:, 1:-1] == grey[:, 1:-1, None])[~wrong[:, 1:-1]].all()


def test_without_ground_truth_the_first_model_is_the_reference(sets, tmp_path):
    truth = GroundTruth(dataset_cfg(sets, 'vis'))
    folders = [write_predictions(tmp_path / name, truth, 'vis', spoil)
               for name, spoil in (('a', None), ('b', shifted))]
    content = json.loads((sets / 'ytvis/valid/instances.json').read_text())
    hidden = tmp_path / 'hidden.json'
    hidden.write_text(json.dumps(dict(content, annotations=None)))
    blind = GroundTruth(dict(dataset_cfg(sets, 'vis'), ann_file=str(hidden)))
    models = {folder.name: open_predictions(folder, blind) for folder in folders}
    drawer = PanelDrawer(blind.dataset.metainfo['classes'], blind.dataset.metainfo['palette'])
    path, right = VideoComparison(blind, models, drawer).write(blind.videos[0], str(tmp_path / 'out'), 'sheet')
    assert right['a'] == 1 and right['b'] < 1
    assert cv2.imread(str(path)).shape[1] == 4 * 320  # input, two models, differences


def test_errors(sets, tmp_path):
    truth = GroundTruth(dataset_cfg(sets, 'vss'))
    with pytest.raises(FileNotFoundError, match='nowhere'):
        open_predictions(tmp_path / 'nowhere', truth)
    folder = write_predictions(tmp_path / 'good', truth, 'vss')
    files = open_predictions(folder, truth)
    with pytest.raises(ValueError, match='has the size'):
        files.segments(truth.videos[0], 0, truth.frames(truth.videos[0])[0].rsplit('/', 1)[1][:-4], (10, 10))
    with pytest.raises(FileNotFoundError, match='absent'):
        files.segments(truth.videos[0], 0, 'absent', SIZE)
    with pytest.raises(ValueError, match='two to 5 models'):
        VideoComparison(truth, dict(one=files), PanelDrawer(('a', ), ((0, 0, 0), )))
    (tmp_path / 'results.json').write_text('{}')
    with pytest.raises(ValueError, match='results.json'):
        open_predictions(tmp_path, GroundTruth(dataset_cfg(sets, 'vis')))
