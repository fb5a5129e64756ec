# Copyright (c) The mmvc contributors. All rights reserved.
"""What turns frames into the bytes of an mp4."""

from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

#: frames per second that can be written into an mp4
FPS_RANGE = (0.01, 600)


class Encoder(Protocol):
    """What writes frames of one size to a file."""

    def write(self, frame: np.ndarray) -> None:
        """Add a frame, RGB, uint8, (H, W, 3)."""

    def close(self) -> None:
        """Complete the file."""


class H264Encoder:
    """H.264 by PyAV, which every browser plays.

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
            raise ImportError('this PyAV has no H.264')
        self._frame = av.VideoFrame
        self._container = av.open(str(path), 'w', options=dict(movflags='faststart'))  # plays while it loads
        self._stream = self._container.add_stream('libx264', rate=Fraction(fps).limit_denominator(1000))
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = 'yuv420p'

    def write(self, frame: np.ndarray) -> None:
        """See :class:`Encoder`."""
        self._container.mux(self._stream.encode(self._frame.from_ndarray(np.ascontiguousarray(frame), format='rgb24')))

    def close(self) -> None:
        """See :class:`Encoder`."""
        self._container.mux(self._stream.encode())
        self._container.close()


class MPEG4Encoder:
    """MPEG-4 Part 2 by OpenCV, which most players play and few browsers.

    Args:
        path (Path): File to write.
        fps (float): Frames per second.
        size (tuple[int, int]): Width and height, even.

    Raises:
        OSError: OpenCV cannot write there.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        fps = round(fps, 2) if fps > 65 else fps  # it counts in 16 bits: above 65, two decimals fit
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
        if not self._writer.isOpened():
            raise OSError('OpenCV cannot open it; is the folder writable, and was OpenCV built with FFmpeg?')

    def write(self, frame: np.ndarray) -> None:
        """See :class:`Encoder`."""
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """See :class:`Encoder`."""
        self._writer.release()


def open_encoder(path: Path, fps: float, size: tuple[int, int]) -> Encoder:
    """The best encoder there is: :class:`H264Encoder`, or :class:`MPEG4Encoder` where PyAV is not installed."""
    try:
        return H264Encoder(path, fps, size)
    except ImportError:
        return MPEG4Encoder(path, fps, size)
