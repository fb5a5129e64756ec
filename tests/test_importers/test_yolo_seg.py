# Copyright (c) The mmvc contributors. All rights reserved.
import shutil

import numpy as np
import pytest

from mmvc.importers.writer import import_videos
from mmvc.importers.yolo_seg import YoloSeg
from mmvc.utils.errors import DataError, UsageError
from tests.helpers.drawn_videos import SIZE, box, write_frames
from tests.helpers.read_source import read_source, same

FRAMES = ['f1', 'f2', 'f10', 'f11']


def row(category, top, left, height, width, *more):
    corners = [(left, top), (left + width, top), (left + width, top + height), (left, top + height)]
    numbers = [f'{value:g}' for x, y in corners for value in (x / SIZE[1], y / SIZE[0])]
    return ' '.join([str(category), *numbers, *map(str, more)]) + '\n'


def write_labels(folder, tracked=False):
    """Labels of a video: the frame f10 shows nothing, the frame f11 has no labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(2):
        first, second = ('7', '8') if tracked else ('', '')
        lines = [row(1, 12, 0, 12, 32, first), row(0, 4, 2 + index, 6, 8, second)]
        (folder / f'{FRAMES[index]}.txt').write_text(''.join(lines))
    (folder / 'f10.txt').write_text('')


def expected(index, tracks=(None, None)):
    return [('road', tracks[0], box(12, 0, 12, 32)), ('car', tracks[1], box(4, 2 + index, 6, 8))]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'yolo'
    for video in ('train/a', 'train/b', 'val'):
        write_frames(folder / 'images' / video, FRAMES)
        write_labels(folder / 'labels' / video)
    (folder / 'data.yaml').write_text('path: /content/datasets/yolo\ntrain: images/train\nval: images/val\ntest:\n'
                                      'names:\n  0: car\n  1: road\n')
    return folder


def test_masks(root, tmp_path):
    assert YoloSeg.matches(root) and YoloSeg.matches(root / 'data.yaml') and not YoloSeg.matches(root / 'images')
    source = YoloSeg.from_path(root)
    assert [category.name for category in source.categories] == ['car', 'road']
    assert not source.has_tracks and not source.covers_frames
    found = read_source(source)
    assert list(found) == ['train/a', 'train/b', 'val']
    for frames in found.values():
        assert list(frames) == FRAMES
        assert same(frames['f1'], expected(0)) and same(frames['f2'], expected(1))
        assert frames['f10'] == [] and frames['f11'] is None
    summary = import_videos(source, tmp_path / 'out', val=['val'])
    assert summary.classes == ('car', 'road')


def test_track_ids_behind_the_polygons(root, tmp_path, tracks):
    for video in ('train/a', 'train/b', 'val'):
        write_labels(root / 'labels' / video, tracked=True)
    source = YoloSeg(root / 'data.yaml')
    assert source.has_tracks
    assert same(read_source(source)['val']['f2'], expected(1, (7, 8)))
    import_videos(source, tmp_path / 'out', 'instances', val=['val'])
    assert [name for name, _ in tracks(tmp_path / 'out/valid.json')['val']] == ['road', 'car']


def test_layout_of_roboflow(root):
    for split in ('train', 'val'):
        for kind in ('images', 'labels'):
            source = root / kind / split if split == 'val' else root / kind / split / 'a'
            shutil.copytree(source, root / 'r' / split / kind)
    (root / 'r/data.yaml').write_text("train: ../train/images\nval: ../val/images\nnc: 2\nnames: ['car', 'road']\n")
    found = read_source(YoloSeg(root / 'r'))
    assert list(found) == ['train', 'val'] and same(found['train']['f2'], expected(1))


def test_names_in_a_text_file(root):
    (root / 'data.yaml').unlink()
    assert not YoloSeg.matches(root)
    (root / 'classes.txt').write_text('car\nroad\n')
    assert YoloSeg.matches(root)
    source = YoloSeg(root)
    assert [category.name for category in source.categories] == ['car', 'road']
    assert list(read_source(source)) == ['train/a', 'train/b', 'val']


def test_lists_of_images(root):
    (root / 'train.txt').write_text('./images/train/a/f2.jpg\ndata/images/train/a/f1.jpg\n')
    (root / 'data.yaml').write_text('train: train.txt\nnames: [car, road]\n')
    found = read_source(YoloSeg(root))
    assert list(found) == ['train/a'] and list(found['train/a']) == ['f1', 'f2']
    (root / 'train.txt').write_text('/etc/passwd\n')
    with pytest.raises(DataError, match='line 1: no file "passwd"'):
        YoloSeg(root)


def test_folder_of_images(root):
    (root / 'data.yaml').write_text('train: elsewhere\nnames: [car, road]\n')
    with pytest.raises(UsageError, match='train: there is no "elsewhere" below'):
        YoloSeg(root)
    assert list(read_source(YoloSeg(root, root / 'images'))) == ['train/a', 'train/b', 'val']


def test_folders_outside_are_not_read(root, tmp_path):
    write_frames(tmp_path / 'secret', ['x'])
    for entry in ('../secret', str(tmp_path / 'secret'), 'a' * 300, '"a\\0b"'):
        (root / 'data.yaml').write_text(f'path: {tmp_path}\ntrain: {entry}\nnames: [car, road]\n')
        with pytest.raises(UsageError, match='there is no ".*" below'):
            YoloSeg(root)


@pytest.mark.parametrize(('line', 'message'), [
    ('0 0.5 0.5 0.2 0.2', 'a box, and a box is no mask'),
    ('0 0.1 0.1 0.2 0.2', 'a box'),
    ('2 0 0 1 0 1 1', 'class index 2 is not one of 0 to 1'),
    ('-1 0 0 1 0 1 1', 'class index -1'),
    ('car 0 0 1 0 1 1', 'not a class index and numbers'),
    ('0 0 0 1 0 1 x', 'not a class index and numbers'),
    ('0 0 0 1 0', 'a box'),
    ('0 0 0', '1 corners'),
    ('0', '0 corners'),
    ('0 0 0 1 0 1 1 0.93', '0.93, is no track id.*without confidences'),
    ('0 0 0 1 0 1 1 0.93 12', 'not in 0 to 1'),
    ('0 0 0 1 0 1 nan', 'not in 0 to 1'),
    ('0 0 0 640 0 640 480', 'not in 0 to 1'),
])
def test_faults_name_file_and_line(root, line, message):
    (root / 'labels/val/f2.txt').write_text(row(0, 0, 0, 4, 4) + '\n' + line + '\n')
    with pytest.raises(DataError, match=f'f2.txt", line 3: .*{message}'):
        YoloSeg(root)


def test_a_label_file_that_is_no_text(root):
    (root / 'labels/val/f2.txt').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(DataError, match='is not text'):
        YoloSeg(root)


@pytest.mark.parametrize(('text', 'message'), [
    ('names: [', 'is no YAML'), ('3', 'has no keys'), ('train: images', 'has no names'),
    ('names: {0: a, 2: b}', 'has no names'), ('names: [a, [b]]', 'has no names'),
    ('names: [a]\ntrain: {a: 1}', 'expected a folder or a list'),
    ('names: !!python/object/apply:os.system ["touch x"]', 'is no YAML'),
    ('#' * (2 << 20), 'bytes'),
])
def test_bad_data_yaml(root, text, message):
    (root / 'data.yaml').write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        YoloSeg(root)
    assert '\n' not in str(caught.value)


def test_images_without_labels(root):
    shutil.rmtree(root / 'labels')
    with pytest.raises(DataError, match='none of the images'):
        YoloSeg(root)
    with pytest.raises(UsageError, match='data.yaml" does not exist'):
        YoloSeg(root / 'images')


def test_rounded_coordinates(root):
    (root / 'labels/val/f2.txt').write_text('0 -0.001 0 1.0004 0 1 1 0 1\n')
    (_, _, mask), = read_source(YoloSeg(root))['val']['f2']
    assert np.all(mask)


def test_folders_that_would_become_one_video(tmp_path):
    for folder in ('a/images', 'images/a'):
        write_frames(tmp_path / folder, FRAMES)
    (tmp_path / 'data.yaml').write_text('names: [car, road]\ntrain: [images/a, a/images]\n')
    write_labels(tmp_path / 'labels/a')
    with pytest.raises(DataError, match='would both be the frame "f1" of the video "a"'):
        YoloSeg(tmp_path)


def test_label_folders_are_inputs(root):
    expected_folders = {root / 'labels' / name for name in ('train/a', 'train/b', 'val')}
    assert set(YoloSeg(root / 'data.yaml').inputs) == expected_folders
