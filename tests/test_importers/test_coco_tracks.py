# Copyright (c) The mmvc contributors. All rights reserved.
import json

import pytest

from mmvc.importers.coco_tracks import CocoTracks
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.annotation_exports import BLOB, coco_content, write_json
from tests.helpers.drawn_videos import box, write_frames, write_video


@pytest.fixture
def export(tmp_path):
    root = tmp_path / 'street'
    write_frames(root / 'images/default', [f'frame_{index:06d}' for index in range(5)], '.PNG')
    write_json(root / 'annotations/instances_default.json', coco_content())
    return root


def test_tracks(export, tmp_path, tracks):
    source = CocoTracks.from_path(export)
    assert CocoTracks.matches(export) and CocoTracks.matches(export / 'annotations/instances_default.json')
    [video] = source.videos()
    assert video.name == 'street' and [frame.labelled for frame in video.frames] == [True, True, True, False, True]
    import_videos(source, tmp_path / 'out', 'instances')
    [(car, car_masks), (tree, tree_masks)] = tracks(tmp_path / 'out/train.json')['street']
    assert (car, tree) == ('car', 'tree')
    content = json.loads((tmp_path / 'out/train.json').read_text())
    assert [track['iscrowd'] for track in content['annotations']] == [0, 0]
    for index in range(5):
        assert (car_masks[index] == (box(10, 2 + index, 6, 8) & (index != 3))).all()
        assert (tree_masks[index] == (BLOB & (index in (1, 2)))).all()


@pytest.mark.parametrize('key', ['track_id', 'instance_id'])
def test_track_ids_of_other_tools(export, key):
    content = coco_content(tracks=False)
    for annotation in content['annotations']:
        annotation[key] = f'{annotation["category_id"]}-a'
    source = CocoTracks.from_path(write_json(export / 'annotations/instances_default.json', content))
    assert source.has_tracks
    assert {region.track for regions in source.regions(source.videos()[0]) for region in regions} == {'1-a', '2-a'}


def test_without_tracks(export, tmp_path):
    source = CocoTracks.from_path(
        write_json(export / 'annotations/instances_default.json', coco_content(tracks=False)))
    assert not source.has_tracks
    with pytest.raises(UsageError, match='needs track ids'):
        import_videos(source, tmp_path / 'out', 'panoptic')
    summary = import_videos(source, tmp_path / 'out')
    assert summary.by_class('shown') == dict(car=4, tree=2)


def test_folders_are_videos(tmp_path):
    left = coco_content(3, name='left/{}.jpg')
    right = coco_content(3, name='right/{}.jpg', first_id=11)
    for name in ('left', 'right'):
        write_frames(tmp_path / 'images' / name, ['0', '1', '2'])
    content = dict(left, images=left['images'] + right['images'][::-1],
                   annotations=left['annotations'] + right['annotations'][:1])
    source = CocoTracks.from_path(write_json(tmp_path / 'instances.json', content))
    assert [(video.name, [frame.name for frame in video.frames]) for video in source.videos()] == [
        ('left', ['0', '1', '2']), ('right', ['0', '1', '2'])]
    assert [frame.labelled for frame in source.videos()[1].frames] == [True, False, False]


def test_video_ids(tmp_path):
    write_frames(tmp_path / 'images', [f'{index}' for index in range(4)])
    content = coco_content(4, name='{}.jpg')
    content['videos'] = [dict(id=3, name='first.mp4'), dict(id='b')]
    for place, image in enumerate(content['images']):
        image.update(video_id=3 if place % 2 else 'b', frame_id=9 - place)
    source = CocoTracks.from_path(write_json(tmp_path / 'instances.json', content))
    assert {video.name: [frame.name for frame in video.frames] for video in source.videos()} == dict(
        first=['3', '1'], video_b=['2', '0'])


def test_video_file(export, tmp_path):
    write_video(tmp_path / 'street.mp4', 7)
    source = CocoTracks.from_path(export, tmp_path / 'street.mp4')
    [video] = source.videos()
    assert [(frame.index, frame.labelled) for frame in video.frames] == [
        (index, index != 3) for index in range(5)]
    assert len(import_videos(source, tmp_path / 'out').records) == 1
    write_json(export / 'annotations/instances_default.json', coco_content(name='{}.jpg'))
    with pytest.raises(UsageError, match='other names than frame_000000.png'):
        CocoTracks.from_path(export, tmp_path / 'street.mp4')


def test_images_with_another_suffix(export):
    for path in (export / 'images/default').iterdir():
        path.rename(path.with_suffix('.bmp'))
    [video] = CocoTracks.from_path(export).videos()
    assert video.frames[2].image == export / 'images/default/frame_000002.bmp'


def test_boxes_are_filled(export):
    content = coco_content()
    content['annotations'][0].update(segmentation=[], bbox=[2, 3, 4.0, 5])
    source = CocoTracks.from_path(write_json(export / 'annotations/instances_default.json', content))
    [region] = next(source.regions(source.videos()[0]))
    assert (region.mask == box(3, 2, 5, 4)).all() and '1 of 6 objects have only a box' in source.notes[0]


def test_crowds_without_tracks(export):
    source = CocoTracks.from_path(
        write_json(export / 'annotations/instances_default.json', coco_content(tracks=False)))
    regions = list(source.regions(source.videos()[0]))[1]
    assert [region.is_crowd for region in regions] == [False, True]


def edit(key, index, **changes):
    def change(content):
        content[key][index].update(changes)
    return change


@pytest.mark.parametrize('change, message', [
    (edit('images', 0, file_name='../0.png'), 'leads out of its folder'),
    (edit('images', 0, file_name='frame_000001.PNG'), 'two images called "frame_000001"'),
    (edit('images', 0, file_name='other.PNG'), 'no file "other.PNG"'),
    (edit('images', 0, id=2), 'image id 2 twice'),
    (edit('images', 0, height=25), 'several sizes'),
    (edit('images', 0, width='x'), r'images\[0\].width'),
    (edit('categories', 0, id=2), 'category id 2 twice'),
    (edit('annotations', 3, image_id=77), r'annotations\[3\]: the image_id 77 is not among the images'),
    (edit('annotations', 3, category_id=77), 'the category_id 77 is not among the categories'),
    (edit('annotations', 3, segmentation=[[1, 2, 3]]), r'annotations\[3\]: a polygon is not a flat list'),
    (edit('annotations', 3, segmentation=dict(size=[24, 32], counts=[3])), 'add up to 3 pixels'),
    (edit('annotations', 3, segmentation=dict(size=[8, 8], counts=[64])), 'the frame'),
    (edit('annotations', 3, segmentation=None), 'neither a mask nor a box'),
    (lambda content: content['images'].clear(), 'has no images'),
    (lambda content: content['categories'].clear(), 'is not among the categories'),
    (lambda content: content.pop('images'), 'has no images'),
])
def test_damage(export, tmp_path, change, message):
    content = coco_content()
    change(content)
    write_json(export / 'annotations/instances_default.json', content)
    with pytest.raises(DataError, match=message) as caught:
        import_videos(CocoTracks.from_path(export), tmp_path / 'out')
    assert '\n' not in str(caught.value)


def test_several_files(export):
    write_json(export / 'annotations/other.json', coco_content())
    assert not CocoTracks.matches(export)
    with pytest.raises(DataError, match='not exactly one JSON file'):
        CocoTracks.from_path(export)


def two_videos(tmp_path, names):
    """COCO with a video_id: the videos have one frame and one object each, and both objects have the same id."""
    content = coco_content(3, name='{}.jpg')
    content['images'].pop()
    content['annotations'] = [each for each in content['annotations'] if each['image_id'] < 3]
    content['videos'] = [dict(id=number, name=name) for number, name in enumerate(names, 1)]
    for number, image in enumerate(content['images'], 1):
        image.update(video_id=number)
    write_frames(tmp_path / 'images', ['0', '1'])
    return CocoTracks.from_path(write_json(tmp_path / 'a.json', content))


@pytest.mark.parametrize('names, expected', [
    (('clip.mov', 'clip.avi'), ['clip.avi', 'clip.mov']),
    (('scene_1.1', 'scene_1.2'), ['scene_1.1', 'scene_1.2']),
    (('left.mp4', 'right.mp4'), ['left', 'right']),
])
def test_names_keep_videos_apart(tmp_path, names, expected):
    assert [video.name for video in two_videos(tmp_path, names).videos()] == expected


def test_two_videos_of_one_name(tmp_path):
    source = two_videos(tmp_path, ('clip', 'clip'))
    assert [len(video.frames) for video in source.videos()] == [1, 1]
    with pytest.raises(DataError, match='two videos are called "clip"'):
        import_videos(source, tmp_path / 'out')


def test_backslashes_of_windows(tmp_path):
    write_frames(tmp_path / 'images/left', ['0', '1', '2'])
    [video] = CocoTracks.from_path(write_json(tmp_path / 'a.json', coco_content(3, name='left\\{}.jpg'))).videos()
    assert video.name == 'left' and [frame.name for frame in video.frames] == ['0', '1', '2']


def test_a_box_of_negative_size(export):
    content = coco_content()
    content['annotations'][0].update(segmentation=[], bbox=[12, 13, -4.0, 5])
    source = CocoTracks.from_path(write_json(export / 'annotations/instances_default.json', content))
    with pytest.raises(DataError, match=r'annotations\[0\]: its bbox has the size -4 x 5'):
        next(source.regions(source.videos()[0]))


def test_a_project_with_the_name_of_a_category(export):
    content = coco_content()
    content['categories'].insert(0, dict(id=0, name='car', supercategory='none'))
    path = write_json(export / 'annotations/instances_default.json', content)
    assert [category.name for category in CocoTracks.from_path(path).categories] == ['car', 'tree']
