# Copyright (c) The mmvc contributors. All rights reserved.
import struct

import cv2
import numpy as np
import pytest

from mmvc.apis.edit_lists import count_shown_frames
from mmvc.apis.frame_reader import FrameReader
from mmvc.apis.sources import open_sources

LENGTH, FPS = 30, 10


@pytest.fixture
def clip(tmp_path):
    """A clip of 30 frames with an edit list that shows all of them."""
    path = tmp_path / 'clip.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), FPS, (96, 64))
    for index in range(LENGTH):
        writer.write(np.full((64, 96, 3), 8 * index, np.uint8))
    writer.release()
    return path


def trim(path, first, count):
    """Hide frames at both ends, as a cut without re-encoding does."""
    data = bytearray(path.read_bytes())
    movie, media = (struct.unpack_from('>I', data, data.index(box) + 16)[0] for box in (b'mvhd', b'mdhd'))
    struct.pack_into('>Ii', data, data.index(b'elst') + 12, count * movie // FPS, first * media // FPS)
    path.write_bytes(data)


@pytest.mark.parametrize('first,count', [(0, LENGTH), (7, 18), (20, 10)])
def test_a_trimmed_video_is_intact(clip, first, count):
    trim(clip, first, count)
    assert count_shown_frames(clip) == count
    source, = open_sources(str(clip))
    reader = FrameReader(source)
    assert abs(reader.expected_frames - count) <= 1
    assert len(list(reader)) == count and not reader.skipped


def test_a_trimmed_video_that_was_cut_off_is_not(clip):
    trim(clip, 2, LENGTH - 2)
    data = clip.read_bytes()
    content = data.index(b'mdat') + 4
    clip.write_bytes(data[:content + 600] + bytes(len(data[content + 600:data.index(b'moov') - 4]))
                     + data[data.index(b'moov') - 4:])
    source, = open_sources(str(clip))
    with pytest.raises(ValueError, match='damaged|decoded'):
        list(FrameReader(source))


@pytest.mark.parametrize('content', [b'', b'RIFF1234AVI ', b'\0\0\0\x08ftyp\0\0\0\x09moov\0', bytes(100)])
def test_other_files_have_no_edit_list(tmp_path, content):
    path = tmp_path / 'clip'
    path.write_bytes(content)
    assert count_shown_frames(path) is None


def test_tables_that_claim_too_much(clip, tmp_path):
    """A few bytes must not take gigabytes, or nest as deep as they like."""
    data = bytearray(clip.read_bytes())
    struct.pack_into('>III', data, data.index(b'stts') + 8, 1, 250_000_000, 1)
    clip.write_bytes(data)
    assert count_shown_frames(clip) is None
    nested = b''
    for _ in range(3000):
        nested = struct.pack('>I4s', 8 + len(nested), b'moov') + nested
    (tmp_path / 'nested.mp4').write_bytes(nested)
    assert count_shown_frames(tmp_path / 'nested.mp4') is None
