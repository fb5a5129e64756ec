# Copyright (c) The mmvc contributors. All rights reserved.
import re

import pytest

from mmvc.utils.errors import DataError
from mmvc.utils.files import read_names


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
