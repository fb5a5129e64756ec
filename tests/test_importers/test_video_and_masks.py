# Copyright (c) The mmvc contributors. All rights reserved.
import json

import cv2
import numpy as np
import pytest

from mmvc.importers.video_and_masks import VideoAndMasks
from mmvc.importers.writer import import_videos
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.drawn_videos import SIZE, box, write_video
from tests.helpers.read_source import read_source, same

CLASSES = ['road', 'car', 'sky']


def class_map(index):
    labels = np.zeros(SIZE, np.uint8)
    labels[box(4, 2 + index, 8, 6)] = 1
    labels[:2] = 255
    return labels


def write_masks(folder, names):
    """Write a mask for each frame of a video, by number of the frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in names.items():
        assert cv2.imwrite(str(folder / name), class_map(index))


@pytest.fixture
def clip(tmp_path):
    write_video(tmp_path / 'street.mp4', 6)
    write_masks(tmp_path / 'masks', {index: f'street_v2_{index:06d}.png' for index in (0, 5)})
    (tmp_path / 'names.txt').write_text('\n'.join(CLASSES))
    return tmp_path


def test_class_masks_of_every_fifth_frame(clip):
    source = VideoAndMasks.from_path(clip / 'masks', clip / 'street.mp4', categories=clip / 'names.txt')
    assert [category.name for category in source.categories] == CLASSES
    assert not source.has_tracks and not source.covers_frames
    found = read_source(source)['street']
    assert [frame for frame, regions in found.items() if regions is not None] == ['00000000', '00000005']
    assert len(found) == 6
    for index in (0, 5):
        labels = class_map(index)
        assert same(found[f'{index:08d}'], [('road', None, labels == 0), ('car', None, labels == 1)])
    import_videos(source, clip / 'out', 'semantic')
    labels, frames = (sorted(path.name for path in (clip / 'out' / kind / 'street').iterdir())
                      for kind in ('labels', 'frames'))
    assert labels == ['00000000.png', '00000005.png'] and len(frames) == 6
    written = cv2.imread(str(clip / 'out/labels/street/00000005.png'), cv2.IMREAD_UNCHANGED)
    assert (written == class_map(5)).all()


def test_id_masks_of_many_videos(tmp_path):
    (tmp_path / 'clips').mkdir()
    for name in ('b', 'a 2'):
        write_video(tmp_path / 'clips' / f'{name}.mp4', 3)
        write_masks(tmp_path / 'masks' / name, {index: f'{index}.png' for index in range(3)})
    (tmp_path / 'names.json').write_text(json.dumps({'b': {'1': 'dog'}, 'a 2': {'1': 'cat'}}))
    source = VideoAndMasks(tmp_path / 'masks', tmp_path / 'clips', tmp_path / 'names.json')
    assert source.has_tracks and source.covers_frames
    found = read_source(source)
    assert list(found) == ['a 2', 'b']
    for name, category in {'a 2': 'cat', 'b': 'dog'}.items():
        for index in range(3):
            labels = class_map(index)
            assert same(found[name][f'{index:08d}'], [(category, 1, labels == 1), ('VOID', None, labels == 255)])


def test_frames_that_count_from_one(clip):
    for file in (clip / 'masks').iterdir():
        file.unlink()
    write_masks(clip / 'masks', {index: f'{index + 1:05d}.png' for index in range(6)})
    with pytest.raises(DataError, match=r'frame 6, but ".*street.mp4" has 6 frames, 0 to 5.*--first-frame 1'):
        VideoAndMasks(clip / 'masks', clip / 'street.mp4').videos()
    found = read_source(VideoAndMasks(clip / 'masks', clip / 'street.mp4', first_frame=1))['street']
    assert (found['00000003'][0][2] == (class_map(3) == 1)).all()


@pytest.mark.parametrize(('names', 'message'), [
    ({0: 'first.png'}, 'has no number'),
    ({0: 'a_1.png', 1: 'b_1.png'}, 'are both masks of the frame 1'),
    ({}, 'no PNG masks'),
])
def test_names_of_masks(clip, names, message):
    write_masks(clip / 'others', names)
    with pytest.raises(DataError, match=message):
        VideoAndMasks(clip / 'others', clip / 'street.mp4').videos()


@pytest.mark.parametrize(('name', 'text', 'message'), [
    ('names.txt', '', 'names no class'),
    ('names.txt', 'a\na\n', 'or one twice'),
    ('names.json', '["a", 1]', r'list\[1\] is 1, not text'),
    ('names.json', '3', 'not a list or an object'),
])
def test_bad_names_of_classes(clip, name, text, message):
    (clip / name).write_text(text)
    with pytest.raises(DataError, match=message):
        VideoAndMasks(clip / 'masks', clip / 'street.mp4', clip / name)


def test_an_unknown_class(clip):
    (clip / 'names.txt').write_text('road\n')
    source = VideoAndMasks(clip / 'masks', clip / 'street.mp4', clip / 'names.txt')
    with pytest.raises(DataError, match='class indices 1, but there are names for 1 classes'):
        read_source(source)


def test_another_size(clip):
    cv2.imwrite(str(clip / 'masks/000003.png'), class_map(3)[::2, ::2])
    with pytest.raises(DataError, match=r'the size \(12, 16\), its video \(24, 32\)'):
        read_source(VideoAndMasks(clip / 'masks', clip / 'street.mp4'))


def test_paths(clip):
    with pytest.raises(UsageError, match='--images'):
        VideoAndMasks(clip / 'masks')
    with pytest.raises(UsageError, match='is no folder'):
        VideoAndMasks(clip / 'names.txt', clip / 'street.mp4')
    with pytest.raises(UsageError, match='has no video files'):
        VideoAndMasks(clip / 'masks', clip / 'masks').videos()
    with pytest.raises(DataError, match='no videos for the masks in .*'):
        VideoAndMasks(clip / 'masks', clip).videos()
    (clip / 'broken.mp4').write_bytes(b'no video' * 100)
    with pytest.raises(UsageError, match='cannot be decoded'):
        VideoAndMasks(clip / 'masks', clip / 'broken.mp4').videos()
