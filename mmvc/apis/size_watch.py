# Copyright (c) The mmvc contributors. All rights reserved.
"""Watches the size of the frames of a video file, which OpenCV does not tell after the first one."""

from collections.abc import Generator
from contextlib import suppress
from typing import Any

from mmvc.utils.errors import UsageError
from mmvc.utils.image_files import SIZE_VARIABLE, find_excess, max_megapixels

_TOLERANCE = 4


def require_size(path: str | int, width: float, height: float) -> None:
    """Raise an error if the frames of a video are too large for the memory.

    Args:
        path (str | int): File, address or camera number.
        width (float): Width of the frames in pixels.
        height (float): Height of the frames in pixels.

    Raises:
        UsageError: They are larger than the limit for images, see :func:`find_excess`.
    """
    excess = find_excess(width * height)
    if excess is not None:
        raise UsageError(f'a frame of "{path}" is too large: {excess}')


class SizeWatch:
    """Finds out where a video file changes the size of its frames. It needs PyAV.

    OpenCV goes on with the size of the first frame, and then gives the last picture of that size again and again, or
    parts of others. The size can change only at a key frame, so only these are decoded here.

    Args:
        path (str): File.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._sizes = _key_frame_sizes(path)
        self._first: tuple[int, int] | None = None
        self._size: tuple[int, int] | None = None
        self._packets = 0

    def look(self, index: int) -> str | None:
        """Say what is wrong with the size of a frame. Call it before the frame is decoded, for one after the other.

        Args:
            index (int): Position of the frame.

        Returns:
            str | None: It is another one than that of the first frame. None if it is the same, or cannot be found out.

        Raises:
            UsageError: It is too large for the memory.
        """
        while self._packets <= index:
            self._packets += 1
            size = next(self._sizes, None)
            if size is not None:
                self._size = size
                self._first = self._first or size
        if self._size is None or self._first is None:
            return None
        (width, height), (first_width, first_height) = self._size, self._first
        if not width:
            raise UsageError(f'a frame of "{self._path}" is too large: it has more megapixels than the limit of '
                             f'{max_megapixels():g}: if it fits the memory, set the environment variable '
                             f'{SIZE_VARIABLE} to a higher number')
        require_size(self._path, width, height)
        if self._size == self._first:
            return None
        return (f'it is {width}x{height}, the first frame is {first_width}x{first_height}; all frames of a video must '
                'have the same size: cut the video there, or scale it (ffmpeg -i IN -vf '
                f'scale={first_width}:{first_height} OUT.mp4)')

    def close(self) -> None:
        """Release the file."""
        self._sizes.close()


def _key_frame_sizes(path: str) -> Generator[tuple[int, int] | None, None, None]:
    """Yield the size (width, height) of the frames for each packet with a key frame, and None for each other one."""
    try:
        import av  # optional dependency
    except ImportError:
        return
    with suppress(OSError, ValueError, getattr(av, 'FFmpegError', OSError)), av.open(path) as container:
        if not container.streams.video:
            return
        stream = container.streams.video[0]
        decoder: Any = stream.codec_context
        decoder.thread_type = 'NONE'  # with threads, it would know the size some packets later
        # Beyond this, it refuses the frame, and most decoders say that its size is 0x0. Up to it, they say the size.
        decoder.options = dict(max_pixels=str(int(_TOLERANCE * max_megapixels() * 1e6)))
        for packet in container.demux(stream):
            if packet.size and not packet.is_keyframe:
                yield None
            elif packet.size:
                with suppress(OSError, ValueError, getattr(av, 'FFmpegError', OSError)):
                    packet.decode()
                yield decoder.width, decoder.height
