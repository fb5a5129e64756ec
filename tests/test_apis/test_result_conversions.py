# Copyright (c) The mmvc contributors. All rights reserved.
"""Results in other forms: numpy, tables, COCO, supervision; and in one line."""

import csv
import json
import sys
import types

import numpy as np
import pytest
from pycocotools.coco import COCO

from mmvc.apis.exports import supervision_arguments
from mmvc.apis.results_table import COLUMNS
from mmvc.utils.errors import UsageError
from tests.helpers.tiny_inference import CLASSES


def test_everything_prints_in_a_line(segmented):
    result, full = segmented
    for item in (result, result[0], full[0], result[0].segments[0]):
        for text in (repr(item), str(item)):
            assert len(text) < 300 and '\n' not in text and type(item).__name__ in text
    assert "'video', " in repr(result) and '3 frames of 110x75' in repr(result)
    assert f'{len(result[0].segments)} segment' in repr(result[0])


def test_what_is_iterated(segmented):
    result, full = segmented
    assert len(result) == 3 and [frame.index for frame in result] == [0, 1, 2] and result[-1] is result.frames[2]
    for frame, expected in zip(result, full):
        assert len(frame) == len(frame.segments) > 0
        assert [segment.rle for segment in frame] == [segment.rle for segment in expected]


def test_maps_equal_those_of_full_results(segmented):
    result, full = segmented
    assert np.array_equal(result.id_maps(), np.stack([frame.id_map() for frame in full]))
    classes = result.class_maps()
    assert classes.shape == (3, 75, 110) and classes.dtype == np.uint8
    assert np.array_equal(classes, np.stack([frame.class_map() for frame in full]))
    assert result.class_maps(void=-1).dtype == np.int32 and (result.class_maps(void=-1)[classes == 255] == -1).all()
    if result.task == 'vss':
        assert np.array_equal(classes, np.stack([frame.sem_seg for frame in full]))
    for frame in result:
        assert np.array_equal(frame.masks, np.stack([segment.mask for segment in frame]))
        assert frame.masks.dtype == bool and frame.ids.shape == frame.labels.shape == (len(frame), )


def test_a_frame_without_segments(segmented):
    empty = segmented[0].above(1.1)[0]
    if segmented[0].task == 'vss':
        assert len(empty) > 0  # classes have no score that could be too low
        return
    assert len(empty) == 0 and empty and repr(empty).endswith('no segments)')
    assert empty.masks.shape == (0, 75, 110) and empty.boxes.shape == (0, 4) and empty.to_coco() == []
    assert not empty.id_map().any() and (empty.class_map() == 255).all()
    arguments = supervision_arguments(empty)
    assert arguments['mask'].shape == (0, 75, 110) and arguments['confidence'].shape == (0, )


def test_table(segmented, tmp_path):
    result, _ = segmented
    rows = result.to_table()
    assert len(rows) == sum(map(len, result)) and all(tuple(row) == COLUMNS for row in rows)
    first, segment = rows[0], result[0].segments[0]
    mask = segment.mask
    ys, xs = np.nonzero(mask)
    assert (first['x'], first['y']) == (xs.min(), ys.min()) and first['area'] == mask.sum()
    assert (first['width'], first['height']) == (np.ptp(xs) + 1, np.ptp(ys) + 1)
    assert first['class_name'] == CLASSES[first['class_id']] and first['frame'] == 0
    if result.task == 'vss':
        assert {row['track_id'] for row in rows} == {None} == {row['score'] for row in rows}
    elif result.task == 'vis':
        assert {row['track_id'] for row in rows} == {segment.id for frame in result for segment in frame}
    else:  # things have a track, stuff has none
        assert all((row['track_id'] is None) == (row['class_id'] >= 5) for row in rows)
    with open(result.save(tmp_path / 'table.csv'), newline='') as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(rows) and read[0]['class_name'] == first['class_name']
    assert read[0]['track_id'] == ('' if first['track_id'] is None else str(first['track_id']))


def test_pandas_is_asked_for(segmented, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pandas', None)
    with pytest.raises(UsageError, match='pip install pandas'):
        segmented[0].to_pandas()


def test_pandas(segmented):
    pandas = pytest.importorskip('pandas')
    table = segmented[0].to_pandas()
    assert list(table.columns) == list(COLUMNS) and len(table) == len(segmented[0].to_table())
    assert table.track_id.dtype == pandas.Int64Dtype()


def test_coco_is_read_by_pycocotools(segmented, tmp_path):
    result, full = segmented
    path = result.save(tmp_path / 'coco.json')
    assert json.loads(path.read_text()) == result.to_coco()
    coco = COCO(str(path))
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == CLASSES
    assert [(image['height'], image['width'], image['frame_id'], image['video_id'])
            for image in coco.loadImgs(coco.getImgIds())] == [(75, 110, index, 1) for index in range(3)]
    for image_id, frame in zip(coco.getImgIds(), full):
        annotations = coco.loadAnns(coco.getAnnIds(image_id))
        assert len(annotations) == len(frame.segments())
        for annotation, segment in zip(annotations, frame):
            assert np.array_equal(coco.annToMask(annotation), segment.mask)
            assert coco.loadCats(annotation['category_id'])[0]['name'] == segment.class_name
            assert annotation['area'] == segment.mask.sum() and annotation['iscrowd'] == 0
            track = annotation.get('track_id')
            assert track == (segment.id if segment.is_track else None)
            assert annotation.get('attributes') == (dict(track_id=track) if segment.is_track else None)
            assert annotation.get('score') == segment.score
    assert len({annotation['id'] for annotation in result.to_coco()['annotations']}) == len(result.to_table())


def test_arguments_of_supervision(segmented):
    """Shapes and types as its class checks them."""
    result, full = segmented
    for frame in (result[0], full[0].encode()):
        arguments, count = supervision_arguments(frame), len(frame)
        assert arguments['xyxy'].shape == (count, 4) and arguments['xyxy'].dtype == np.float32
        assert arguments['mask'].shape == (count, 75, 110) and arguments['mask'].dtype == bool
        assert arguments['class_id'].shape == arguments['data']['class_name'].shape == (count, )
        assert [CLASSES[label] for label in arguments['class_id']] == arguments['data']['class_name'].tolist()
        for (left, top, right, bottom), mask in zip(arguments['xyxy'], arguments['mask']):
            ys, xs = np.nonzero(mask)
            assert (left, top, right, bottom) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        for key in ('confidence', 'tracker_id'):
            assert arguments[key] is None if result.task == 'vss' else arguments[key].shape == (count, )


def test_supervision_is_called(segmented, monkeypatch):
    result, full = segmented
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(UsageError, match='pip install supervision'):
        result[0].to_supervision()
    monkeypatch.setitem(sys.modules, 'supervision', types.SimpleNamespace(Detections=lambda **given: given))
    assert np.array_equal(full[0].to_supervision()['mask'], result[0].masks)


def test_supervision(segmented):
    supervision = pytest.importorskip('supervision')
    detections = segmented[0][0].to_supervision()
    assert isinstance(detections, supervision.Detections) and len(detections) == len(segmented[0][0])


def test_a_result_without_frames_says_why(make_inferencer, frames, tmp_path):
    result, = make_inferencer()(frames[:2], return_frames=False)
    for convert in (result.to_coco, result.to_table, result.class_maps, result.id_maps, result.plot):
        with pytest.raises(UsageError, match='return_frames=False'):
            convert()
    with pytest.raises(UsageError, match='unknown suffix'):
        result.save(tmp_path / 'result.txt')
    assert result._repr_png_() is None and '2 frames' in repr(result)
    image, = make_inferencer()(frames[0], return_frames=False)
    assert ' 1 frame of ' in repr(image)
