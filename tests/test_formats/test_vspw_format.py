# Copyright (c) The mmvc contributors. All rights reserved.
import numpy as np
import pytest

from mmvc.formats import vspw
from mmvc.formats.label_maps import read_label_map
from mmvc.utils.errors import DataError
from mmvc.utils.files import files_in


@pytest.fixture
def root(tmp_path):
    for video in ('a', 'b'):
        for template, suffix, names in ((vspw.FRAMES, '.jpg', ('1', '2', '10')), (vspw.MASKS, '.png', ('2', '10'))):
            folder = vspw.folder_of(tmp_path, template, video)
            folder.mkdir(parents=True)
            for name in (*names, '.hidden'):
                (folder / f'{name}{suffix}').touch()
    (tmp_path / vspw.list_file('val')).write_text('b\n\na\n')
    return tmp_path


def test_the_layout(root):
    assert (root / 'val.txt').exists() and (root / 'data/a/origin/10.jpg').exists()
    assert vspw.read_video_list(root / 'val.txt') == ['b', 'a']
    assert list(files_in(root / 'data/a/origin', ('.jpg', ))) == ['1', '2', '10']
    assert files_in(root / 'nowhere', ('.jpg', )) == {}
    masks = vspw.list_masks(root)
    assert masks == {video: [f'{root}/data/{video}/mask/{name}.png' for name in ('2', '10')] for video in ('b', 'a')}
    assert vspw.find_unlabelled(root, masks) == ['b/1', 'a/1']
    assert vspw.find_unlabelled(root, masks, 'frames/{video}') == []


@pytest.mark.parametrize('content, message', [('', 'empty'), ('a\nb\na\n', 'twice: a')])
def test_faults_of_a_list(tmp_path, content, message):
    (tmp_path / 'val.txt').write_text(content)
    with pytest.raises(ValueError, match=f'val.txt".*{message}'):
        vspw.read_video_list(tmp_path / 'val.txt')
    with pytest.raises(FileNotFoundError, match='test.txt" does not exist'):
        vspw.read_video_list(tmp_path / 'test.txt')


def test_faults_of_the_masks(root):
    for path in (root / 'data/a/mask').iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r'video "a" has no "\*.png" masks in ".*data/a/mask"'):
        vspw.list_masks(root)
    (root / 'data/a/mask').rmdir()
    with pytest.raises(FileNotFoundError, match='video "a" of ".*val.txt" has no folder ".*data/a/mask"'):
        vspw.list_masks(root)
    with pytest.raises(ValueError, match='{video}'):
        vspw.list_masks(root, masks='data')


def test_predictions_round_trip(tmp_path):
    labels = np.random.default_rng(0).integers(0, 256, (3, 4, 6))
    written = []

    def write(path, content):
        written.append(path)
        path.write_bytes(content)

    (tmp_path / 'v').mkdir()
    writer = vspw.PredictionWriter(tmp_path / 'v', write)
    for t, of_frame in enumerate(labels):
        writer.add(f'{t:03d}', of_frame)
        path = vspw.prediction_file(tmp_path, 'v', f'{t:03d}')
        np.testing.assert_array_equal(read_label_map(str(path)), of_frame)
    assert written == sorted((tmp_path / 'v').iterdir()) and len(written) == 3


@pytest.mark.parametrize('name', ['/abs/left', '../left', 'a/../../left', '.', 'a\x0bb', 'a\0b'])
def test_names_that_leave_the_dataset_are_refused_on_reading_and_writing(tmp_path, name):
    (tmp_path / 'val.txt').write_text(f'left\n{name}\n')
    with pytest.raises(DataError, match='val.txt": the name'):
        vspw.read_video_list(tmp_path / 'val.txt')
    with pytest.raises(DataError, match='the name'):
        vspw.prediction_file(tmp_path, name, '0')
    with pytest.raises(DataError, match='the name'):
        vspw.PredictionWriter(tmp_path).add(name, np.zeros((1, 1), np.uint8))


def test_names_of_a_list_are_normalised(tmp_path):
    path = tmp_path / 'val.txt'
    path.write_bytes('\ufeff./left\nright/\na//b\n'.encode())
    assert vspw.read_video_list(path) == ['left', 'right', 'a/b']
    path.write_text('left\n./left\n')
    assert vspw.listed_videos(path) == ['left', 'left']
    with pytest.raises(ValueError, match='names videos twice: left'):
        vspw.read_video_list(path)


def test_masks_without_a_frame(root):
    masks = vspw.list_masks(root)
    (root / 'data/a/origin/2.jpg').unlink()
    with pytest.raises(ValueError, match='video "a": 1 masks have no frame in ".*data/a/origin": 2'):
        vspw.find_unlabelled(root, masks)
