# Copyright (c) The mmvc contributors. All rights reserved.
"""How many frames of an mp4 or mov file are shown: its edit list may hide some, as after a cut without re-encoding."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

_CONTAINERS = {b'moov', b'trak', b'edts', b'mdia', b'minf', b'stbl'}
_MAX_HEADER = 256 * 2**20  # bytes; more is no header of an intact file
_MAX_FRAMES = 1 << 24  # three days at 60 frames per second; a table of runs can claim any number
_EMPTY_EDIT = -1  # media time of a pause


def count_shown_frames(path: str | Path) -> int | None:
    """Count the frames that the edit list of the first video track shows (ISO/IEC 14496-12, section 8.6).

    Args:
        path (str | Path): Any file.

    Returns:
        int | None: The number; None if the file is not an mp4 or mov, has no edit list, or cannot be read so.
    """
    try:
        with open(path, 'rb') as file:
            header = _read_header(file)
        return None if header is None else _count(header)
    except (OSError, struct.error, ValueError, IndexError, ZeroDivisionError, RecursionError):
        return None  # a decoder will say what is wrong with it


def _read_header(file: BinaryIO) -> bytes | None:
    """Return the content of the box ``moov``."""
    size = os.fstat(file.fileno()).st_size
    position = 0
    while position + 8 <= size:
        file.seek(position)
        length, kind, start = _box(file.read(16), 0, size - position)
        if not position and kind not in {b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip', b'pnot'}:
            return None
        if kind == b'moov':
            file.seek(position + start)
            return file.read(length - start) if length <= _MAX_HEADER else None
        position += length
    return None


def _box(data: bytes, position: int, available: int) -> tuple[int, bytes, int]:
    """Return length, kind and length of the head of the box at a position."""
    length, kind = struct.unpack_from('>I4s', data, position)
    start = 8
    if length == 1:
        length, start = struct.unpack_from('>Q', data, position + 8)[0], 16
    elif length == 0:  # up to the end
        length = available
    if length < start:
        raise ValueError('a box is shorter than its head')
    return length, kind, start


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the boxes, and of those within containers, in order."""
    position = 0
    while position + 8 <= len(data):
        length, kind, start = _box(data, position, len(data) - position)
        content = data[position + start:position + length]
        yield kind, content
        if kind in _CONTAINERS:
            yield from _boxes(content)
        position += length


def _count(header: bytes) -> int | None:
    movie_scale = _time_scale(next((content for kind, content in _boxes(header) if kind == b'mvhd'), b''))
    for kind, track in _boxes(header):
        if kind != b'trak':
            continue
        parts: dict[bytes, bytes] = {}
        for name, content in _boxes(track):
            parts.setdefault(name, content)  # a second handler in `minf` is that of the data
        if parts.get(b'hdlr', b'')[8:12] != b'vide':
            continue
        if b'elst' not in parts or not {b'mdhd', b'stts'} <= parts.keys():
            return None
        times = _display_times(parts[b'stts'], parts.get(b'ctts'))
        scale = _time_scale(parts[b'mdhd']) / movie_scale
        shown = 0
        for duration, start in _edits(parts[b'elst']):
            if start != _EMPTY_EDIT:
                stop = start + duration * scale if duration else np.inf
                shown += int(((times >= start) & (times < stop)).sum())
        return shown or None
    return None


def _time_scale(content: bytes) -> int:
    """Units per second of the boxes ``mvhd`` and ``mdhd``."""
    return struct.unpack_from('>I', content, 20 if content[0] == 1 else 12)[0]


def _display_times(durations: bytes, offsets: bytes | None) -> np.ndarray:
    """When each frame is shown, in units of the track: (T,)."""
    counts, lengths = _runs(durations, '>u4')
    times = np.cumsum(np.repeat(lengths, counts))
    times -= lengths[0] if len(lengths) else 0
    if offsets is not None:
        counts, shifts = _runs(offsets, '>i4')
        times = times[:counts.sum()] + np.repeat(shifts, counts)[:len(times)]
    return times


def _runs(content: bytes, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and values of a table of runs."""
    rows = struct.unpack_from('>I', content, 4)[0]
    table = np.frombuffer(content, '>u4', 2 * rows, 8).reshape(rows, 2)
    counts = table[:, 0].astype(np.int64)
    if counts.sum() > _MAX_FRAMES:
        raise ValueError('more frames than a video has')
    return counts, np.ascontiguousarray(table[:, 1]).view(kind).astype(np.int64)


def _edits(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield duration, in units of the movie, and first time, in units of the track, of each edit."""
    layout = '>QqI' if content[0] == 1 else '>IiI'
    for row in range(struct.unpack_from('>I', content, 4)[0]):
        duration, start, _ = struct.unpack_from(layout, content, 8 + row * struct.calcsize(layout))
        yield duration, start
