# Copyright (c) The mmvc contributors. All rights reserved.
import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmvc.formats import youtube_vis, youtube_vis_results

VIDEO = dict(height=4, width=6, length=3, file_names=['a/0.jpg', 'a/1.jpg', 'a/2.jpg'])
CATEGORIES = [dict(id=3, name='cup'), dict(id=1, name='plate')]


def square(left):
    mask = np.zeros((4, 6), bool)
    mask[1:3, left:left + 2] = True
    return mask


@pytest.fixture
def path(tmp_path):
    """Two videos: in the first, a cup is out of sight in frame 1, and a plate is never seen."""
    cup, plate = youtube_vis.TrackRecorder(3), youtube_vis.TrackRecorder(1)
    for t in range(3):
        cup.add(square(t) & (t != 1), 'slight_occlusion')
        plate.add(np.zeros((4, 6), bool), 'no_occlusion')
    tracks = [record for record in (cup.record(VIDEO), plate.record(VIDEO)) if record is not None]
    youtube_vis.write_annotations(tmp_path / 'valid.json', [(VIDEO, tracks), (VIDEO, [])], CATEGORIES)
    return tmp_path / 'valid.json'


def test_annotations_round_trip(path):
    truth = youtube_vis.read_annotations(path, ['plate', 'cup'])
    assert truth.videos == [dict(id=1, **VIDEO), dict(id=2, **VIDEO)]
    assert truth.categories == {3: 'cup', 1: 'plate'} and truth.labels(['plate', 'cup']) == {3: 1, 1: 0}
    (track, ), = truth.tracks.values()
    assert (track['id'], track['video_id'], track['category_id']) == (1, 1, 3)
    assert track['areas'] == [4, None, 4] and track['bboxes'] == [[0, 1, 2, 2], None, [2, 1, 2, 2]]
    assert track['occlusion'] == ['slight_occlusion', None, 'slight_occlusion'] and truth.with_occlusion
    for t in (0, 2):
        np.testing.assert_array_equal(mask_utils.decode(track['segmentations'][t]), square(t))
    assert not list(youtube_vis.find_faults(json.loads(path.read_text()), path))
    assert not youtube_vis.read_annotations(path, with_tracks=False).tracks
    with pytest.raises(ValueError, match=r"only the file has \['plate'\], only the dataset has \['mug'\]"):
        youtube_vis.read_annotations(path, ['mug', 'cup'])


def test_tracks_without_levels_of_occlusion(tmp_path):
    crowd = youtube_vis.TrackRecorder(3, is_crowd=True)
    for mask in (None, square(1), np.zeros((4, 6), bool)):
        crowd.add(mask)
    record = crowd.record(VIDEO)
    assert record['iscrowd'] == 1 and record['areas'] == [None, 4, None] and 'occlusion' not in record
    youtube_vis.write_annotations(tmp_path / 'valid.json', [(VIDEO, [record])], CATEGORIES)
    truth = youtube_vis.read_annotations(tmp_path / 'valid.json')
    assert not truth.with_occlusion and truth.tracks[1][0]['segmentations'][0] is None


def test_annotations_that_are_not_read_are_not_checked(path):
    content = json.loads(path.read_text())
    content['annotations'][0]['segmentations'].pop()
    path.write_text(json.dumps(content))
    assert len(youtube_vis.read_annotations(path, with_tracks=False).videos) == 2
    with pytest.raises(ValueError, match='annotation 1 of .* masks for 2 frames, its video has 3'):
        youtube_vis.read_annotations(path)


def test_masks_are_checked_video_by_video(path):
    truth = youtube_vis.read_annotations(path)
    for video in truth.videos:
        truth.check_masks(video)  # must not raise
    truth.tracks[1][0]['segmentations'][2]['counts'] = '5'
    truth.check_masks(truth.videos[1])
    with pytest.raises(ValueError, match=r'annotation 1 of ".*valid.json", video 1: .* add up to 5 pixels'):
        truth.check_masks(truth.videos[0])


def test_all_faults_are_found(path):
    content = json.loads(path.read_text())
    track, = content['annotations']
    content['annotations'] += [dict(track, id=2, category_id=2), dict(track, id=3, video_id=9), track]
    faults = list(youtube_vis.find_faults(content, 'file'))
    assert [fault.kind for fault in faults] == ['annotation', 'unknown id', 'annotation']
    for fault, what in zip(faults, ('annotation id 1 twice', 'annotation 2', 'annotation 3')):
        assert what in fault.what and '"file"' in fault.what


@pytest.mark.parametrize('ids', [('a', './a'), ('a/b', 'a//b'), ('a', 'a/'), (1, '1')])
def test_ids_of_one_folder_are_one_video(path, ids):
    videos = [dict(VIDEO, id=video_id) for video_id in ids]
    path.write_text(json.dumps(dict(videos=videos, categories=CATEGORIES)))
    with pytest.raises(ValueError, match='has the video id .* twice'):
        youtube_vis.read_annotations(path)


@pytest.mark.parametrize('name', ['valid/instances.json', 'valid.json', 'annotations_valid.json',
                                  'instances_valid.json'])
def test_the_usual_names_are_found(tmp_path, name):
    assert youtube_vis.find_path(tmp_path, 'valid', youtube_vis.ANN_FILES) == 'valid/instances.json'
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert youtube_vis.find_path(tmp_path, 'valid', youtube_vis.ANN_FILES) == name


def test_predictions_round_trip(path, tmp_path):
    tracks = youtube_vis_results.TrackCollector(1, [3, 1])
    tracks.add(np.stack([square(0), square(4)]), [8, 5], [0, 1], [0.5, 0.75])
    tracks.add(np.zeros((0, 4, 6), bool), [], [], [])
    tracks.add(np.stack([square(2), square(4) & False]), [8, 5], [0, 0], [0.25, 0.25])
    assert tracks.num_frames == 3
    youtube_vis_results.write_results(tmp_path / 'out', tracks.detections())
    results = youtube_vis_results.results_file(tmp_path / 'out')
    assert results == youtube_vis_results.results_file(results)
    detections = youtube_vis_results.read_results(results, youtube_vis.read_annotations(path))
    assert list(detections) == [1]
    first, second = detections[1]
    assert (first['category_id'], first['score'], second['category_id'], second['score']) == (3, 0.375, 1, 0.5)
    assert [rle is not None for rle in second['segmentations']] == [True, False, False]  # an empty mask is null
    for t in (0, 2):
        np.testing.assert_array_equal(mask_utils.decode(first['segmentations'][t]), square(t))


@pytest.mark.parametrize('change, message', [
    (dict(video_id='1'), "tracks with video_id '1', which"),
    (dict(category_id=2), 'tracks with category_id 2, which'),
    (dict(segmentations=[None]), 'video 1: a track has 1 masks for 3 frames'),
    (dict(score=None), r'\[1\].score is null'),
])
def test_faults_of_predictions(path, tmp_path, change, message):
    track = dict(video_id=1, category_id=3, score=0.5, segmentations=[None] * 3)
    (tmp_path / 'results.json').write_text(json.dumps([track, {**track, **change}]))
    with pytest.raises(ValueError, match=f'results.json".*{message}'):
        youtube_vis_results.read_results(tmp_path / 'results.json', youtube_vis.read_annotations(path))


def test_what_the_ids_mean_can_be_read_as_annotations(tmp_path):
    youtube_vis_results.write_result_videos(tmp_path, [dict(id=1, name='a', **VIDEO)], {1: 'cup', 2: 'plate'})
    truth = youtube_vis.read_annotations(tmp_path / 'videos.json')
    assert truth.categories == {1: 'cup', 2: 'plate'} and truth.videos[0]['name'] == 'a'


def test_numbers_come_before_names():
    assert sorted(['b', 10, 'a', 9], key=youtube_vis.video_order) == [9, 10, 'a', 'b']


@pytest.mark.parametrize('change', [
    dict(id='../1'), dict(id='/1'), dict(file_names=['a/0.jpg', 'a/1.jpg', '../2.jpg']),
    dict(file_names=['/etc/0.jpg', 'a/1.jpg', 'a/2.jpg'])])
@pytest.mark.parametrize('with_tracks', [True, False])
def test_names_that_leave_their_folders_are_refused(path, change, with_tracks):
    content = json.loads(path.read_text())
    content['videos'][1].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='valid.json", .* the name .*(out of its folder|absolute)'):
        youtube_vis.read_annotations(path, with_tracks=with_tracks)


@pytest.mark.parametrize('labelled, fault', [
    ([0, 2], None), ([2, 0], None), ([0, 1, 2], None), (None, None),
    ([], 'lists no frame; list one, or remove the video'),
    ([0, 2, 2], 'has the frame 2 twice'),
    ([0, 2, 3], 'lists frame 3, the video has the frames 0 to 2'),
    ([0, 2, -1], 'lists frame -1'),
    ([1, 2], 'annotation 1 of .* has a mask in frame 0, which is not among the labelled_frames'),
    ('all', 'labelled_frames')])
def test_sparse_labels(path, labelled, fault):
    """The cup of the first video is seen in frames 0 and 2."""
    content = json.loads(path.read_text())
    content['videos'][0]['labelled_frames'] = labelled
    path.write_text(json.dumps(content))
    if fault is not None:
        with pytest.raises(ValueError, match=fault):
            youtube_vis.read_annotations(path)
        return
    first, second = youtube_vis.read_annotations(path).videos
    assert youtube_vis.labelled_frames(first) == (sorted(labelled) if labelled else [0, 1, 2])
    assert youtube_vis.labelled_frames(second) == [0, 1, 2]
