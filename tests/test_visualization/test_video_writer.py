# Copyright (c) The mmvc contributors. All rights reserved.
import sys

import cv2
import numpy as np
import pytest

from mmvc.engine.reporting import explain
from mmvc.visualization import VideoWriter

resource = pytest.importorskip('resource')  # POSIX only


@pytest.fixture(params=['H.264', 'MPEG-4'])
def codec(request, monkeypatch):
    if request.param == 'H.264':
        pytest.importorskip('av')
    else:
        monkeypatch.setitem(sys.modules, 'av', None)


@pytest.fixture
def small_files():
    """No file of more than 200,000 bytes can be written, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write(path, num_frames):
    rng = np.random.default_rng(0)
    with VideoWriter(path, 10) as writer:
        for _ in range(num_frames):
            writer.write(rng.integers(0, 256, (120, 160, 3)).astype(np.uint8))


def test_whole_videos_get_their_name(codec, tmp_path):
    write(tmp_path / 'clip.mp4', 5)
    capture = cv2.VideoCapture(str(tmp_path / 'clip.mp4'))
    assert sum(capture.grab() for _ in range(10)) == 5


@pytest.mark.parametrize('num_frames', [30, 60, 120])
def test_a_cut_off_video_does_not(codec, small_files, tmp_path, num_frames):
    (tmp_path / 'clip.mp4').write_bytes(b'the old one')
    with pytest.raises(OSError, match=r'clip\.mp4" cannot be written') as caught:
        write(tmp_path / 'clip.mp4', num_frames)
    assert 'Free some space' in explain(caught.value)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'the old one']
