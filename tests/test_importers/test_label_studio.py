# Copyright (c) The mmvc contributors. All rights reserved.
import json

import numpy as np
import pytest

from mmvc.importers.label_studio import LabelStudio
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.brush_encoder import encode_brush
from tests.helpers.drawn_videos import SIZE, box, write_frames, write_video
from tests.helpers.read_source import read_source, same

FRAMES = ['f1', 'f2', 'f3', 'f10']
HEIGHT, WIDTH = SIZE


def blob(index):
    return box(4, 2 + index, 6, 8) ^ box(6, 4 + index, 2, 2)


def region(kind, value, number=0, **more):
    return dict(id=f'r{number}', from_name='tag', to_name='image', type=kind, origin='manual', image_rotation=0,
                original_width=WIDTH, original_height=HEIGHT, value=value) | more


def brush(mask, label='car', **more):
    return region('brushlabels', dict(format='rle', rle=encode_brush(mask), brushlabels=[label]), **more)


def polygon(top, left, height, width, label='road'):
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in corners]
    return region('polygonlabels', dict(points=points, closed=True, polygonlabels=[label]), 1)


def rectangle(top, left, height, width, **more):
    return dict(x=100 * left / WIDTH, y=100 * top / HEIGHT, width=100 * width / WIDTH, height=100 * height / HEIGHT,
                rotation=0) | more


def task(number, address, results, **more):
    annotations = [] if results is None else [dict(id=number, was_cancelled=False, ground_truth=False,
                                                   result=results)]
    return dict(id=number, data=dict(image=address, weather='rain'), annotations=annotations, predictions=[]) | more


def image_tasks():
    """Two finished tasks, and one that nobody has done."""
    choice = region('choices', dict(choices=['day']), 5)
    return [task(index, f'/data/upload/3/0a1b2c3d-{FRAMES[index]}.jpg',
                 None if index == 2 else [polygon(12, 0, 12, 32), brush(blob(index)), choice]) for index in range(3)]


def expected(index):
    return [('road', None, box(12, 0, 12, 32)), ('car', None, blob(index))]


@pytest.fixture
def export(tmp_path):
    """Writes tasks and returns the path of the JSON."""
    write_frames(tmp_path / 'images/street', FRAMES)

    def write(tasks):
        path = tmp_path / 'export.json'
        path.write_text(json.dumps(tasks))
        return path
    return write


def test_brush_and_polygons(export, tmp_path):
    path = export(image_tasks())
    assert LabelStudio.matches(path)
    source = LabelStudio.from_path(path, tmp_path / 'images')
    assert [category.name for category in source.categories] == ['car', 'road']
    assert not source.has_tracks and not source.covers_frames
    found = read_source(source)
    assert list(found) == ['street'] and list(found['street']) == FRAMES
    assert same(found['street']['f1'], expected(0)) and same(found['street']['f2'], expected(1))
    assert found['street']['f3'] is None and found['street']['f10'] is None
    import_videos(source, tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out/labels/street').iterdir()) == ['f1.png', 'f2.png']


@pytest.mark.parametrize('address', [
    '/data/local-files/?d=sets/street/f2.jpg', 's3://bucket/street/f2.jpg',
    'https://example.org/a/f2.jpg?X-Amz-Signature=1', 'f2.jpg', 'C:\\data\\street\\f2.jpg',
])
def test_addresses_of_images(export, tmp_path, address):
    found = read_source(LabelStudio(export([task(1, address, [brush(blob(1))])])))
    assert same(found['images/street']['f2'], expected(1)[1:])


def test_the_folder_decides_between_images_of_one_name(export, tmp_path):
    write_frames(tmp_path / 'images/park', FRAMES)
    source = LabelStudio(export([task(1, 's3://bucket/park/f2.jpg', [brush(blob(1))])]), tmp_path / 'images')
    assert list(read_source(source)) == ['park']
    with pytest.raises(DataError, match='may be .*park.* or .*street.*--images'):
        LabelStudio(export([task(1, 's3://bucket/f2.jpg', [brush(blob(1))])]), tmp_path / 'images').videos()


def test_labels_in_a_result_of_their_own(export, tmp_path):
    results = [region('labels', dict(labels=['car'])), region('brush', dict(format='rle', rle=encode_brush(blob(1))))]
    found = read_source(LabelStudio(export([task(1, 'f2.jpg', results)])))
    assert same(found['images/street']['f2'], expected(1)[1:])


def test_ground_truth_and_cancelled_annotations(export, tmp_path):
    one = task(1, 'f2.jpg', [brush(blob(1))])
    two = dict(id=9, was_cancelled=False, result=[brush(blob(0))])
    one['annotations'] += [two, dict(id=10, was_cancelled=True, result=[])]
    with pytest.raises(DataError, match='task 1 has 2 annotations'):
        LabelStudio(export([one]))
    two['ground_truth'] = True
    found = read_source(LabelStudio(export([one])))
    assert same(found['images/street']['f2'], expected(0)[1:])
    one['annotations'] = one['annotations'][-1:]
    assert read_source(LabelStudio(export([one])))['images/street']['f2'] is None


def test_boxes_of_images_are_refused_unless_asked_for(export, tmp_path):
    value = dict(rectangle(4, 2, 6, 8), rectanglelabels=['car'])
    path = export([task(1, 'f2.jpg', [region('rectanglelabels', value)])])
    with pytest.raises(UsageError, match=r'task 1, result\[0\] .*is a box, and a box is no mask.*--boxes-as-masks'):
        LabelStudio(path)
    source = LabelStudio(path, boxes_as_masks=True)
    assert same(read_source(source)['images/street']['f2'], [('car', None, box(4, 2, 6, 8))])
    assert source.notes == ['1 of 1 regions are boxes: their masks are filled boxes']


def test_key_points_are_left_out(export):
    point = region('keypointlabels', dict(x=1, y=2, width=1, keypointlabels=['nose']), 7)
    source = LabelStudio(export([task(1, 'f2.jpg', [brush(blob(1)), point])]))
    assert same(read_source(source)['images/street']['f2'], expected(1)[1:])
    assert source.notes == ['1 key points were left out, because they have no area']


def test_a_turned_box(export, tmp_path):
    # a quarter turn clockwise around the left upper corner: 8 wide and 6 high becomes 6 wide and 8 high, to its left
    value = dict(rectangle(4, 20, 6, 8, rotation=90), rectanglelabels=['car'])
    path = export([task(1, 'f2.jpg', [region('rectanglelabels', value)])])
    (_, _, mask), = read_source(LabelStudio(path, boxes_as_masks=True))['images/street']['f2']
    assert (mask == box(4, 14, 8, 6)).all()


def video_task(*tracks, count=11):
    results = [region('videorectangle', dict(framesCount=count, duration=1, sequence=sequence, labels=[label]), number)
               for number, (label, sequence) in enumerate(tracks)]
    return dict(id=4, data=dict(video='/data/upload/1/0a1b2c3d-clip.mp4'),
                annotations=[dict(id=1, result=results)])


def keyframe(frame, top, left, enabled=True):
    return dict(rectangle(top, left, 6, 8), frame=frame, enabled=enabled, time=frame / 10)


def test_boxes_of_videos(export, tmp_path, tracks):
    write_video(tmp_path / 'clip.mp4', 11)
    path = export([video_task(
        ('car', [keyframe(9, 4, 0), keyframe(1, 4, 2), keyframe(5, 4, 6, enabled=False)]),
        ('person', [keyframe(3, 12, 20)]))])
    with pytest.raises(UsageError, match='a box is no mask'):
        LabelStudio(path)
    source = LabelStudio(path, boxes_as_masks=True)
    assert source.has_tracks
    frames = list(read_source(source)['clip'].values())
    # between the keyframes 1 and 5, it moves by a pixel per frame; 5 is the last frame before it is hidden
    lefts = [2, 3, 4, 5, 6, None, None, None, 0, 0, 0]
    for index, left in enumerate(lefts):
        car = [] if left is None else [('car', 'r0', box(4, left, 6, 8))]
        person = [('person', 'r1', box(12, 20, 6, 8))] if index >= 2 else []
        assert same(frames[index], car + person)
    import_videos(source, tmp_path / 'out', 'instances')
    (name, masks), _ = tracks(tmp_path / 'out/train.json')['clip']
    assert name == 'car' and (masks[3] == box(4, 5, 6, 8)).all() and not masks[6].any()


def test_another_frame_rate_than_that_of_the_video(export, tmp_path):
    write_video(tmp_path / 'clip.mp4', 20)
    path = export([video_task(('car', [keyframe(1, 4, 2), keyframe(9, 4, 10)]), count=10)])
    frames = list(read_source(LabelStudio(path, boxes_as_masks=True))['clip'].values())
    assert (frames[16][0][2] == box(4, 10, 6, 8)).all() and (frames[8][0][2] == box(4, 6, 6, 8)).all()


def test_an_unfinished_video(export, tmp_path):
    write_video(tmp_path / 'clip.mp4', 3)
    found = read_source(LabelStudio(export([dict(video_task(), annotations=[]), *image_tasks()])))
    assert set(found['clip'].values()) == {None}


def test_keyframes_behind_the_end(export, tmp_path):
    write_video(tmp_path / 'clip.mp4', 3)
    path = export([video_task(('car', [keyframe(9, 4, 0)]), count=3)])
    with pytest.raises(DataError, match='keyframes from 9 to 9, but the video has 3 frames'):
        LabelStudio(path, boxes_as_masks=True).videos()
    path = export([video_task(('car', [keyframe(1, 4, 0) | dict(x=None)]))])
    with pytest.raises(DataError, match=r'task 4, result\[0\] .*sequence\[0\].x is null'):
        LabelStudio(path, boxes_as_masks=True).videos()


@pytest.mark.parametrize(('content', 'message'), [
    ([dict(id=1, image='f1.jpg', tag=[dict(format='rle', rle=[])])], 'looks like JSON-MIN: export again, in the'),
    ([dict(id=1, image='f1.jpg', completions=[])], 'old version'),
    ({}, 'not a list'),
    ([3], 'JSON-MIN'),
    ([], 'has no tasks'),
    ([dict(id=1, data=3)], 'data is 3'),
    ([task(1, 'x.txt', [])], '0 images or videos'),
    ([dict(task(1, 'f1.jpg', []), data=dict(a='f1.jpg', b='f2.jpg'))], r'2 images or videos \(a, b\)'),
    ([task(1, 'f1.jpg', [region('ellipselabels', {})])], 'task 1, result.0. .ellipselabels. is not read'),
    ([task(1, 'f1.jpg', [region('brushlabels', dict(brushlabels=[]))])], '0 labels'),
    ([task(1, 'f1.jpg', [region('brushlabels', dict(brushlabels=['a', 'b']))])], '2 labels'),
    ([task(1, 'f1.jpg', [brush(blob(0), image_rotation=90)])], 'turned by 90 degrees'),
    ([task(1, 'f1.jpg', [dict(type='brushlabels')])], 'has no value'),
    ([task(1, 'f1.jpg', [brush(blob(0), original_width=33)])], r'image of \(24, 33\), the image has \(24, 32\)'),
    ([task(1, 'f1.jpg', [region('brushlabels', dict(brushlabels=['a'], rle='x'))])], 'has no rle'),
    ([task(1, 'f1.jpg', [region('brushlabels', dict(brushlabels=['a'], rle=[1, 2]))])], 'cut off'),
    ([task(1, 'f1.jpg', [region('polygonlabels', dict(polygonlabels=['a'], points=[[1, 2, 3]]))])], 'not pairs'),
    ([task(1, 'f1.jpg', [region('polygonlabels', dict(polygonlabels=['a'], points=[[1, '2']]))])],
     r"the polygon: points\[0\]\[1\] is '2', not a finite number; draw"),
    ([task(1, 'f1.jpg', [region('polygonlabels', dict(polygonlabels=['a'], points=[[1, 2]]))])], '1 corners'),
    ([task(1, 'f9.jpg', [])], 'no file "f9.jpg"'),
    ([task(1, 'f1.jpg', []), task(2, 'f1.jpg', [])], 'task 2 has the image .* of .*task 1'),
])
def test_faults(export, content, message):
    with pytest.raises(DataError, match=message):
        read_source(LabelStudio(export(content)))


def test_masks_on_videos_are_refused(export, tmp_path):
    write_video(tmp_path / 'clip.mp4', 3)
    tasks = [dict(video_task(), annotations=[dict(result=[brush(np.zeros(SIZE, bool))])])]
    with pytest.raises(DataError, match='drawn on a video'):
        LabelStudio(export(tasks)).videos()


@pytest.mark.parametrize('text', ['', '{}', '[{"id": 1, "image": "x.jpg"}]'])
def test_other_files_do_not_match(tmp_path, text):
    (tmp_path / 'x.json').write_text(text)
    assert not LabelStudio.matches(tmp_path / 'x.json') and not LabelStudio.matches(tmp_path / 'missing.json')
