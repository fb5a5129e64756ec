# Copyright (c) The mmvc contributors. All rights reserved.
import pytest

from mmvc.utils.errors import DataError
from mmvc.utils.names import check_name, output_path

REFUSED = ['', '.', './', '..', '../x', 'a/../../x', 'a/..', '/etc/x', 'a\nb', 'a\0b', 'a\x1b[2J', 'a\u2028b',
           'a\x7fb', 'a\\..\\x', 'C:/x', 'C:', ' ', 'x' * 256, 'a/' + 'é' * 128, 'a\ud800b']
ACCEPTED = ['left', 'street/left', '1001_5z_ijQjUf_0', '-5sqmCF8OFU', '..x', 'x..', '.x', 'ünï cödé', '视频', 'a: b',
            'x' * 255]


@pytest.mark.parametrize('name', REFUSED)
def test_names_that_leave_their_folder_or_are_none(tmp_path, name):
    with pytest.raises(DataError, match='list.txt: the name .* Use a name relative') as caught:
        check_name(name, 'list.txt')
    assert len(str(caught.value).splitlines()) == 1 and '\x1b' not in str(caught.value)
    with pytest.raises(DataError):
        output_path(tmp_path, 'left', name, suffix='.png')


@pytest.mark.parametrize('name', ACCEPTED)
def test_names_of_ordinary_files(tmp_path, name):
    assert check_name(name, 'list.txt') == name
    assert output_path(tmp_path, 'video', name) == tmp_path / 'video' / name


def test_the_suffix_follows_the_last_name(tmp_path):
    assert output_path(tmp_path, 'street/left', suffix='.mp4') == tmp_path / 'street/left.mp4'
    assert output_path(tmp_path, 'a.b', suffix='.png') == tmp_path / 'a.b.png'
