# Copyright (c) The mmvc contributors. All rights reserved.
import re

import pytest

from mmvc.utils.errors import DataError
from mmvc.utils.files import read_names, staged_file, staged_folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())


def test_staging(tmp_path):
    """Under SIGKILL: what lies around has a hidden name, and does not get into what is written next."""
    target = tmp_path / 'a/b'
    with staged_folder(target) as folder:
        (folder / 'x').touch()
        assert not target.exists() and folder.name.startswith('.')
        leftover = folder
    assert names(tmp_path) == ['a/b/x']
    leftover.mkdir()
    (leftover / 'old').touch()
    with staged_folder(target, inner='b') as folder:
        (folder / 'b').mkdir()
        (folder / 'b/y').touch()
    assert names(tmp_path) == ['a/b/y']
    with staged_file(tmp_path / 'c.json') as file:
        assert not (tmp_path / 'c.json').exists()
        file.write('x')
    assert (tmp_path / 'c.json').read_text() == 'x'


def test_a_folder_that_is_not_completed_leaves_the_old_one(tmp_path):
    target = tmp_path / 'a'
    target.mkdir()
    (target / 'old').touch()
    with pytest.raises(OSError, match='full'), staged_folder(target) as folder:
        (folder / 'new').touch()
        raise OSError('full')
    assert names(tmp_path) == ['a/old'] and [path.name for path in tmp_path.iterdir()] == ['a']


def test_names_of_a_text_file(tmp_path):
    path = tmp_path / 'train.txt'
    path.write_text(' left\n\nright \n')
    assert read_names(path) == ['left', 'right']
    path.write_bytes(b'\xff\xfe')
    with pytest.raises(DataError, match=f'"{re.escape(str(path))}" is not text'):
        read_names(path)
