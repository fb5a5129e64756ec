# Copyright (c) The mmvc contributors. All rights reserved.
import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmvc.apis.addresses import stream_name, video_name
from mmvc.apis.source_names import make_unique


def named(*paths):
    return [SimpleNamespace(name='video', origin=None) if path is None else
            SimpleNamespace(name=Path(path).stem, origin=Path(path)) for path in paths]


@pytest.mark.parametrize('paths, expected', [
    (['/d/clip.mov', '/d/clip.avi'], ['clip_mov', 'clip_avi']),
    (['/d/clip.mov', '/d/clip', '/d/other.mov'], ['clip_mov', 'clip', 'other']),
    (['/a/clip.mp4', '/b/clip.mp4'], ['a_clip', 'b_clip']),
    (['/a/clip.mp4', '/a/clip.mov', '/b/clip.mp4'], ['a_clip_mp4', 'a_clip_mov', 'b_clip_mp4']),
    (['/a/frames', '/b/frames'], ['a_frames', 'b_frames']),
    ([None, None, '/a/x.mp4'], ['video', 'video_2', 'x']),
    (['/d/clip.mov', '/d/clip.avi', '/d/clip_avi.mp4'], ['clip_mov', 'clip_avi', 'clip_avi_2']),
    (['/x/a/clip.mp4', '/y/a/clip.mp4'], ['a_clip_mp4', 'a_clip_mp4_2'])])
def test_names(paths, expected):
    sources = named(*paths)
    make_unique(sources)
    assert [source.name for source in sources] == expected


def test_the_order_does_not_matter():
    paths = ['/a/clip.mp4', '/a/clip.mov', '/b/clip', '/b/other.mp4', '/c/other.mov']
    found = set()
    for order in itertools.permutations(paths):
        sources = named(*order)
        make_unique(sources)
        found.add(tuple(sorted((str(source.origin), source.name) for source in sources)))
    assert len(found) == 1


@pytest.mark.parametrize('address, name', [
    ('http://127.0.0.1:8765/fast.mp4', 'fast'), ('https://user:secret@host/a/my%20clip.mov?key=secret#t', 'my_clip'),
    ('https://host/a.b.webm', 'a.b'), ('https://host/', 'host'), ('https://host/..%2F..%2Fetc%2Fx.mp4', 'x')])
def test_videos_on_servers(address, name):
    assert video_name(address) == name


def test_streams_keep_their_host():
    assert stream_name('rtsp://user:secret@host:554/cam/1') == 'host_554_cam_1'
