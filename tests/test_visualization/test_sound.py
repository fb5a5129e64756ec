# Copyright (c) The mmvc contributors. All rights reserved.
"""Sound stays in step with its frames, or is left out."""

import numpy as np
import pytest

from mmvc.visualization import VideoWriter, add_sound
from tests.helpers.sounding_videos import FPS, heard, write_source

av = pytest.importorskip('av')


def write_video(path, source, num_frames, fps=FPS, stride=1):
    """What an overlay of the source is; returns why it has no sound."""
    reasons = []
    with VideoWriter(path, fps, lambda draft: reasons.append(add_sound(draft, source, fps, stride))) as writer:
        for index in range(num_frames):
            writer.write(np.full((48, 64, 3), index, np.uint8))
    return reasons[0]


def num_frames(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(container.streams.video[0]))


@pytest.mark.parametrize('suffix, codec, expected', [
    ('.mp4', 'aac', 'aac'), ('.mkv', 'aac', 'aac'), ('.mkv', 'flac', 'flac'), ('.avi', 'pcm_s16le', 'aac')])
def test_sound_is_kept(tmp_path, suffix, codec, expected):
    source, path = write_source(tmp_path / f'source{suffix}', codec), tmp_path / 'overlay.mp4'
    assert write_video(path, source, 40) is None
    name, beep, end = heard(path)
    assert name == expected and beep == pytest.approx(2, abs=0.05) and end == pytest.approx(4, abs=0.05)
    assert num_frames(path) == 40 and [file.name for file in tmp_path.iterdir() if file != source] == ['overlay.mp4']


def test_a_part_and_a_stride(tmp_path):
    source, path = write_source(tmp_path / 'source.mp4'), tmp_path / 'overlay.mp4'
    assert write_video(path, source, 25) is None
    assert heard(path)[1:] == pytest.approx((2, 2.5), abs=0.05) and num_frames(path) == 25
    assert write_video(path, source, 10, fps=FPS / 4, stride=4) is None
    assert heard(path)[1:] == pytest.approx((2, 4), abs=0.05) and num_frames(path) == 10


def test_a_video_that_begins_late(tmp_path):
    """The sound before the first frame is left out."""
    source, path = write_source(tmp_path / 'source.mkv', times=1 + np.arange(30) / FPS), tmp_path / 'overlay.mp4'
    assert write_video(path, source, 30) is None
    assert heard(path)[1:] == pytest.approx((1, 3), abs=0.05)


@pytest.mark.parametrize('kwargs, fps, stride', [
    (dict(times=np.cumsum([0, *[0.05] * 20, *[0.15] * 19])), FPS, 1), (dict(), 5, 1), (dict(), FPS, 2)])
def test_sound_out_of_step_is_left_out(tmp_path, kwargs, fps, stride):
    """The frame rate of the source varies, or the overlay has another one."""
    source, path = write_source(tmp_path / 'source.mp4', **kwargs), tmp_path / 'overlay.mp4'
    assert 'not shown at the times' in write_video(path, source, 40 // stride, fps, stride)
    assert heard(path) is None and num_frames(path) == 40 // stride


def test_silence(tmp_path):
    source, path = write_source(tmp_path / 'source.mp4', codec=None), tmp_path / 'overlay.mp4'
    assert write_video(path, source, 40) is None and heard(path) is None
    source.write_bytes(b'no video')
    assert 'cannot be read by PyAV' in write_video(path, source, 40)
    assert num_frames(path) == 40


def test_sound_that_cannot_be_written(tmp_path, monkeypatch):
    """The video stays as it is."""
    source, path = write_source(tmp_path / 'source.mp4'), tmp_path / 'overlay.mp4'

    def fail(*args):
        raise OSError(22, 'no such codec')
        yield

    monkeypatch.setattr('mmvc.visualization.sound._copied', fail)
    assert 'cannot be written into an mp4' in write_video(path, source, 40)
    assert num_frames(path) == 40 and sorted(file.name for file in tmp_path.iterdir()) == ['overlay.mp4', 'source.mp4']


def test_a_full_disk_costs_the_sound_only(tmp_path):
    resource = pytest.importorskip('resource')  # POSIX only
    source, path = write_source(tmp_path / 'source.mkv', 'flac'), tmp_path / 'overlay.mp4'
    with VideoWriter(path, FPS) as writer:
        for index in range(40):
            writer.write(np.full((48, 64, 3), index, np.uint8))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 500, before[1]))
    try:
        reason = write_video(path, source, 40)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 'cannot be written into an mp4' in reason and heard(path) is None and num_frames(path) == 40
