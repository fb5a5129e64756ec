# Copyright (c) The mmvc contributors. All rights reserved.
import json

import numpy as np
import pytest

from mmvc.formats import vipseg, vipseg_results
from mmvc.formats.label_maps import read_panoptic_map

CATEGORIES = [dict(id=1, name='cup', isthing=1, color=[9, 9, 9]), dict(id=0, name='floor', isthing=0, color=[1, 1, 1])]


def segment(index, category_id):
    return dict(id=index, category_id=category_id, iscrowd=0, area=5)


@pytest.fixture
def path(tmp_path):
    """Two videos of three frames, of which the second is not labelled."""
    records = []
    for video, labelled in (('a', True), ('b', False)):
        recorder = vipseg.VideoRecorder(video, labelled)
        for name in ('1', '2', '10'):
            recorder.add(name, (6, 4), [segment(7, 0), segment(int(name) + 7, 1)] if labelled else None)
        records.append(recorder.record())
    vipseg.write_annotations(tmp_path / vipseg.ann_file('val'), records, CATEGORIES)
    return tmp_path / 'panoptic_gt_VIPSeg_val.json'


def test_annotations_round_trip(path):
    truth = vipseg.read_annotations(path, ['floor', 'cup'])
    assert [video['video_id'] for video in truth.videos] == ['a', 'b']
    assert truth.videos[1]['images'][2] == dict(id='10', width=6, height=4, file_name='10.png')
    assert truth.class_names == ['floor', 'cup'] and truth.isthing == [False, True]
    assert truth.segments == {'a': {name: [segment(7, 0), segment(int(name) + 7, 1)] for name in ('1', '2', '10')}}
    assert not list(vipseg.find_faults(json.loads(path.read_text()), path))
    with pytest.raises(ValueError, match="category 0 of .* is 'floor', class 0 of the dataset is 'cup'"):
        vipseg.read_annotations(path, ['cup', 'floor'])


def test_frames_without_masks_have_no_annotation(tmp_path):
    recorder = vipseg.VideoRecorder('a')
    recorder.add('1', (6, 4))
    recorder.add('2', (6, 4), [])
    vipseg.write_annotations(tmp_path / 'file.json', [recorder.record()], CATEGORIES)
    truth = vipseg.read_annotations(tmp_path / 'file.json')
    assert truth.segments == dict(a={'2': []}) and truth.unlabelled == ['a/1']


def test_the_order_of_frames_is_that_of_the_videos(path):
    """Annotations may list the frames in any order: VPQ over windows does not depend on it."""
    content = json.loads(path.read_text())
    content['annotations'][0]['annotations'].reverse()
    path.write_text(json.dumps(content))
    assert list(vipseg.read_annotations(path).segments['a']) == ['1', '2', '10']
    del content['videos']
    path.write_text(json.dumps(content))
    assert list(vipseg.read_annotations(path, list_videos=False).segments['a']) == ['10', '2', '1']
    with pytest.raises(ValueError, match='has no videos.*mmvc convert annotations'):
        vipseg.read_annotations(path)


def test_all_faults_are_found(path):
    content = json.loads(path.read_text())
    content['videos'].append(content['videos'][0])
    content['annotations'][0]['annotations'][0]['segments_info'][1]['category_id'] = 5
    content['annotations'][0]['annotations'][1]['segments_info'][0]['category_id'] = 1
    faults = list(vipseg.find_faults(content, 'file'))
    assert [fault.kind for fault in faults] == ['annotation', 'unknown id', 'annotation']
    for fault, what in zip(faults, ("video 'a' twice", 'segment 8 of frame "a/1.png" has the category 5',
                                    'segment 7 of frame "a/2.png" has the category 1, in an earlier frame 0')):
        assert what in fault.what and '"file"' in fault.what


def test_predictions_round_trip(tmp_path):
    ids = np.array([[[0, 5, 5]], [[70000, 70000, 5]]])
    segments = [dict(id=5, category_id=0, score=0.5), dict(id=70000, category_id=1, isthing=True)]
    folder = vipseg_results.predicted_masks(tmp_path, 'v')
    folder.mkdir(parents=True)
    writer = vipseg_results.PredictionWriter(folder, 'v')
    for t, of_frame in enumerate(ids):
        writer.add(f'{t}', of_frame, segments)
    vipseg_results.write_predicted_segments(tmp_path, [writer.entry])
    predictions = vipseg_results.read_predictions(tmp_path, 2)
    for t, of_frame in enumerate(ids):
        np.testing.assert_array_equal(read_panoptic_map(str(predictions.mask_file('v', f'{t}'))), of_frame)
    five = dict(id=5, category_id=0, iscrowd=0)
    assert predictions.segments == {'v': {
        '0': [dict(five, area=2)],  # no pixel, no entry
        '1': [dict(five, area=1), dict(id=70000, category_id=1, iscrowd=0, area=2)]}}
    with pytest.raises(ValueError, match=r'pred.json": segment 70000 of frame "v/1.png" has the category 1, the '
                       r'categories are 0..0'):
        vipseg_results.read_predictions(tmp_path, 1)


def test_isthing_of():
    assert vipseg.isthing_of(CATEGORIES) == [False, True]
    with pytest.raises(ValueError, match=r'category ids must be 0..0, got \[1\]'):
        vipseg.isthing_of(CATEGORIES[:1])


@pytest.mark.parametrize('change', [
    lambda content: content['videos'][0].update(video_id='../a'),
    lambda content: content['annotations'][0].update(video_id='/a'),
    lambda content: content['videos'][0]['images'][0].update(file_name='../../1.png'),
    lambda content: content['annotations'][0]['annotations'][0].update(file_name='/etc/1.png'),
])
def test_names_that_leave_their_folders_are_faults(path, change):
    content = json.loads(path.read_text())
    change(content)
    assert [fault.kind for fault in vipseg.find_faults(content, path)][0] == 'name'
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'panoptic_gt_VIPSeg_val.json", .* the name .*(out of its folder|absolute)'):
        vipseg.read_annotations(path)
    (path.parent / 'pred.json').write_text(json.dumps(content))
    if content['videos'][0]['video_id'] == 'a' and content['videos'][0]['images'][0]['file_name'] == '1.png':
        with pytest.raises(ValueError, match='pred.json", .* the name'):
            vipseg_results.read_predictions(path.parent, 2)
    with pytest.raises(ValueError, match='the name'):
        vipseg_results.predicted_masks(path.parent, '../a')


@pytest.mark.parametrize('number', [0, -1, 1 << 24])
def test_ids_that_no_pixel_can_have(path, number):
    """0 is void: as a segment it would never be found, and lower the score of a perfect prediction."""
    content = json.loads(path.read_text())
    segments = next(frame['segments_info'] for frame in content['annotations'][0]['annotations']
                    if frame['segments_info'])
    segments[0]['id'] = number
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f'segment {number} of frame .* has no colour: ids are from 1'):
        vipseg.read_annotations(path)
