# Copyright (c) The mmvc contributors. All rights reserved.
import hashlib

import pytest

from mmvc.utils.checksums import file_digest, fits_checksum


@pytest.mark.parametrize('algorithm', ['sha256', 'md5'])
def test_checksums(tmp_path, algorithm):
    content = b'weights' * 400_000  # more than is read at once
    (tmp_path / 'file').write_bytes(content)
    expected = hashlib.new(algorithm, content).hexdigest()
    assert file_digest(tmp_path / 'file', algorithm) == expected
    assert fits_checksum(tmp_path / 'file', f'{algorithm}:{expected}')
    assert fits_checksum(tmp_path / 'file', f'{algorithm}:{expected[:6]}')
    assert not fits_checksum(tmp_path / 'file', f'{algorithm}:{expected[1:]}')
