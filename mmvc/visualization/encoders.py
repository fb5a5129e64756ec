# Copyright (c) The mmvc contributors. All rights reserved.
"""Encoders of mp4 files."""

import errno
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np


class Encoder(Protocol):
    """Writes frames of equal size to a file."""

    def write(self, frame: np.ndarray) -> None:
        """Add a frame, RGB, uint8, (H, W, 3)."""

    def close(self) -> None:
        """Complete the file."""


class H264Encoder:
    """H.264 encoder by PyAV. All browsers play its videos.

    Args:
        path (Path): File to write.
        fps (float): Frames per second.
        size (tuple[int, int]): Width and height, even.

    Raises:
        ImportError: PyAV is not installed, or was built without H.264.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        import av  # optional
        if 'libx264' not in av.codecs_available:
            raise ImportError('the installed PyAV has no H.264 encoder (libx264)')
        self._frame = av.VideoFrame
        # with faststart, players can start before the whole file is loaded
        self._container: Any = av.open(str(path), 'w', options=dict(movflags='faststart'))
        self._stream: Any = self._container.add_stream('libx264', rate=Fraction(fps).limit_denominator(1000))
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'

    def write(self, frame: np.ndarray) -> None:
        """See :class:`Encoder`."""
        self._mux(self._stream.encode(self._frame.from_ndarray(np.ascontiguousarray(frame), format='rgb24')))

    def close(self) -> None:
        """See :class:`Encoder`."""
        if self._container is not None:
            self._mux(self._stream.encode())
            self._container.close()

    def _mux(self, packets: list) -> None:
        try:
            self._container.mux(packets)
        except OSError:
            self._container = self._stream = None  # PyAV crashes if a file that it could not write to is completed
            raise


class MPEG4Encoder:
    """MPEG-4 Part 2 encoder by OpenCV. Most players, but few browsers, play its videos.

    Args:
        path (Path): File to write.
        fps (float): Frames per second.
        size (tuple[int, int]): Width and height, even.

    Raises:
        OSError: OpenCV cannot write the file.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        fps = round(fps, 2) if fps > 65 else fps  # OpenCV stores it in 16 bits, which above 65 leave two decimals
        self._path, self._num_frames = path, 0
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
        if not self._writer.isOpened():
            raise OSError('OpenCV cannot open it; make the folder writable, install PyAV (pip install av), or install '
                          'an OpenCV that was built with FFmpeg')

    def write(self, frame: np.ndarray) -> None:
        """See :class:`Encoder`."""
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self._num_frames += 1

    def close(self) -> None:
        """See :class:`Encoder`.

        Raises:
            OSError: The file is not complete: OpenCV says nothing of a full disk.
        """
        self._writer.release()
        capture = cv2.VideoCapture(str(self._path))
        written = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))  # 0 if the index, which is written last, is missing
        capture.release()
        if written != self._num_frames:
            free = shutil.disk_usage(self._path.parent).free / 2**20
            raise OSError(errno.ENOSPC, f'OpenCV wrote {max(written, 0)} of {self._num_frames} frames; the disk has '
                          f'{free:.0f} MiB left, and a limit of the size of files ("ulimit -f", a quota) counts, too')


def open_encoder(path: Path, fps: float, size: tuple[int, int]) -> Encoder:
    """Open :class:`H264Encoder`, or :class:`MPEG4Encoder` if PyAV with H.264 is not installed."""
    try:
        return H264Encoder(path, fps, size)
    except ImportError:
        return MPEG4Encoder(path, fps, size)
