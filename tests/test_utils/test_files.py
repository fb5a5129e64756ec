# Copyright (c) The mmvc contributors. All rights reserved.
import re

import pytest

from mmvc.utils.errors import DataError
from mmvc.utils.files import files_in, files_of, missing_files, other_images, read_names


def touch(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_names_of_a_text_file(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text(' left\n\nright \n')
    assert read_names(path) == ['left', 'right']
    path.write_bytes(b'\xff\xfe')
    with pytest.raises(DataError, match=f'"{re.escape(str(path))}" is not text'):
        read_names(path)


def test_only_line_breaks_separate_names(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_bytes('a\x0bb\u2028c\r\nd\n'.encode())
    assert read_names(path) == ['a\x0bb\u2028c', 'd']


def test_byte_order_marks_and_line_ends(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_bytes('\ufeffleft\r\nright\r\ufeffthird\n'.encode())
    assert read_names(path) == ['left', 'right', 'third']


def test_one_rule_for_endings(tmp_path):
    touch(tmp_path, '10.jpg', '9.JPG', '1.jpeg', 'notes.txt', '.2.jpg')
    assert [(name, path.name) for name, path in files_in(tmp_path, ('.jpg', )).items()] == [('9', '9.JPG'),
                                                                                           ('10', '10.jpg')]
    assert other_images(tmp_path, {'10.jpg', '9.JPG'}) == [f'{tmp_path}/1.jpeg']
    assert files_in(tmp_path / 'nowhere', ('.jpg', )) == {} and other_images(tmp_path / 'nowhere', ()) == []
    assert missing_files([f'{tmp_path}/9.JPG', f'{tmp_path}/9.jpg', 's3://far/1.jpg']) == [f'{tmp_path}/9.jpg']


@pytest.mark.parametrize('names', [('a.jpg', 'a.JPG'), ('a.jpg', 'a.png')])
def test_two_files_of_one_frame(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(DataError, match=f'has two files for the frame "a": .*{names[0]}'):
        files_in(tmp_path, ('.jpg', '.png'))


def test_an_ending_that_all_files_share(tmp_path):
    touch(tmp_path, '0_left.jpg', '1_left.jpg')
    assert list(files_of(tmp_path, ('.jpg', ), ['0_left'])) == ['0_left', '1_left']
    assert list(files_of(tmp_path, ('.jpg', ), ['0', '1'])) == ['0', '1']
    assert list(files_of(tmp_path, ('.jpg', ), ['x'])) == ['0_left', '1_left']
