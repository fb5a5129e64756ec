# Copyright (c) The mmvc contributors. All rights reserved.
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmvc.importers import frame_files
from mmvc.importers.frame_files import (
    FileFinder,
    folders_with,
    frame_number,
    frames_in,
    path_of,
    video_name,
    video_of_file,
    video_of_images,
)
from mmvc.utils.errors import DataError
from tests.helpers.drawn_videos import SIZE, write_frames, write_video


def test_folders_with_images(tmp_path):
    for folder in ('v10', 'v9/left', '.hidden', 'v9'):
        write_frames(tmp_path / folder, ['0'])
    (tmp_path / 'v9/notes.txt').touch()
    (tmp_path / 'empty').mkdir()
    assert list(folders_with(tmp_path)) == ['v9', 'v9/left', 'v10']
    assert folders_with(tmp_path / 'v9', ('.txt', )) == {'.': tmp_path / 'v9'}
    assert folders_with(tmp_path / 'missing') == {}
    assert video_name('v9/left', tmp_path) == 'v9/left' and video_name('.', tmp_path / 'v9') == 'v9'


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    write_frames(tmp_path / 'store/v1', ['0'])
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/a').symlink_to(tmp_path / 'store/v1')
    (tmp_path / 'set/b').symlink_to(tmp_path / 'store')
    (tmp_path / 'store/v1/self').symlink_to(tmp_path / 'store')
    (tmp_path / 'set/above').symlink_to(tmp_path)
    (tmp_path / 'store/v1/other').symlink_to(tmp_path / 'set')
    assert list(folders_with(tmp_path / 'set')) == ['a', 'b/v1']


@pytest.mark.parametrize(('address', 'path'), [
    ('a/b.jpg', 'a/b.jpg'),
    ('..\\a\\b.jpg', '../a/b.jpg'),
    ('https://x.org/a%20b.jpg?sig=1', '/a b.jpg'),
    ('s3://bucket/a/b.jpg', '/a/b.jpg'),
    ('/data/local-files/?d=a/b%20c.jpg', 'a/b c.jpg'),
    ('/data/upload/1/0a1b2c3d-b.jpg', '/data/upload/1/0a1b2c3d-b.jpg'),
    ('/data/sets/what?.jpg', '/data/sets/what?.jpg'),
    ('https://x.org/b.jpg?d=other.jpg', '/b.jpg'),
])
def test_path_of(address, path):
    assert path_of(address) == path


@pytest.mark.parametrize(('address', 'found'), [
    ('a/0.jpg', 'a/0.jpg'),
    ('/home/me/data/b/0.jpg', 'b/0.jpg'),
    ('C:\\data\\a\\0.jpg', 'a/0.jpg'),
    ('1.jpg', 'a/1.jpg'),
    ('/data/upload/7/0a1b2c3d-1.jpg', 'a/1.jpg'),
])
def test_files_are_found_by_their_names(tmp_path, address, found):
    write_frames(tmp_path / 'a', ['0', '1'])
    write_frames(tmp_path / 'b', ['0'])
    assert FileFinder(tmp_path).find(address, 'x') == tmp_path / found


@pytest.mark.parametrize(('address', 'message'), [
    ('0.jpg', 'may be .*a/0.jpg" or ".*b/0.jpg'),
    ('2.jpg', 'where: no file "2.jpg" in'),
    ('../../secret.jpg', 'no file "secret.jpg"'),
    ('', 'names no file'),
    ('a/..', 'names no file'),
    ('x' * 300 + '.jpg', 'names no file'),
    ('a\0.jpg', 'names no file'),
])
def test_files_that_are_not_found(tmp_path, address, message):
    write_frames(tmp_path / 'below/a', ['0'])
    write_frames(tmp_path / 'below/b', ['0'])
    write_frames(tmp_path, ['secret'])
    with pytest.raises(DataError, match=message):
        FileFinder(tmp_path / 'below').find(address, 'where')


def test_images_are_turned_as_their_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    for index in range(2):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / f'{index}.jpg', exif=exif)
    video = video_of_images('v', frames_in(tmp_path), ['1'])
    assert video.size == SIZE[::-1] and [frame.labelled for frame in video.frames] == [False, True]
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / '1.jpg')
    with pytest.raises(DataError, match=r'1.jpg" has the size \(24, 32\), and .*0.jpg" has \(32, 24\)'):
        video_of_images('v', frames_in(tmp_path), [])


def test_images_that_do_not_fit(tmp_path):
    write_frames(tmp_path, ['0'])
    with pytest.raises(DataError, match=r'its annotations are for \(1, 2\)'):
        video_of_images('v', frames_in(tmp_path), [], size=(1, 2))
    with pytest.raises(DataError, match='video "v" has no images.*--images'):
        video_of_images('v', {}, [])
    (tmp_path / '1.jpg').write_bytes(b'no image')
    with pytest.raises(DataError, match='1.jpg" cannot be read'):
        video_of_images('v', frames_in(tmp_path), [])


def test_video_files(tmp_path):
    write_video(tmp_path / 'v.mp4', 5)
    video = video_of_file('street', tmp_path / 'v.mp4', [3])
    assert video.size == SIZE and video.video_file == tmp_path / 'v.mp4'
    assert [frame.labelled for frame in video.frames] == [False, False, False, True, False]
    assert video.frames[4].name == '00000004' and video.frames[4].image is None
    assert all(frame.labelled for frame in video_of_file('street', tmp_path / 'v.mp4', None).frames)
    for wrong in (-1, 5):
        with pytest.raises(DataError, match=f'frame {wrong}, but .* has 5 frames, 0 to 4'):
            video_of_file('street', tmp_path / 'v.mp4', [0, wrong])


def test_a_long_video_shows_its_progress(tmp_path, monkeypatch, capfd):
    write_video(tmp_path / 'v.mp4', 5)
    video_of_file('v', tmp_path / 'v.mp4', [])
    assert 'counting' not in capfd.readouterr().err
    monkeypatch.setattr(frame_files, '_LONG_VIDEO', 5)
    video_of_file('v', tmp_path / 'v.mp4', [])
    assert 'counting v.mp4' in capfd.readouterr().err


def test_a_broken_frame_of_a_video_is_named(monkeypatch):
    class Broken:
        num_frames = 2

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def read(self):
            yield 0, np.zeros((*SIZE, 3), np.uint8), 1
            yield 1, 'the frame cannot be decoded', 1

    monkeypatch.setattr(frame_files, 'open_video', lambda path: Broken())
    with pytest.raises(DataError, match='"v.mp4", frame 1: the frame cannot be decoded'):
        video_of_file('v', Path('v.mp4'), [])


def test_frame_numbers_of_cvat():
    assert frame_number('frame_000012') == 12 and frame_number('Frame_0') == 0
    assert frame_number('street_000012') is None and frame_number('frame_1_b') is None


def test_a_frame_with_too_many_pixels(tmp_path, monkeypatch):
    path = tmp_path / '0.png'
    Image.fromarray(np.zeros((40, 50), np.uint8)).save(path)
    monkeypatch.setenv('MMVC_MAX_MEGAPIXELS', '0.0005')
    with pytest.raises(DataError, match='cannot be read .its 0 megapixels are more than the limit'):
        video_of_images('street', {'0': path}, [])
    monkeypatch.setenv('MMVC_MAX_MEGAPIXELS', '0.002')
    assert video_of_images('street', {'0': path}, []).size == (40, 50)
