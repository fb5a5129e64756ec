# Copyright (c) The mmvc contributors. All rights reserved.
"""Decodes video files and cameras: with OpenCV, or with PyAV (if it is installed) where OpenCV fails."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmvc.utils.choices import FPS_RANGE
from mmvc.utils.errors import UsageError

from .addresses import why_unreadable
from .edit_lists import count_shown_frames
from .size_watch import SizeWatch, require_size

#: (position, image (BGR) or reason for a failure, number of frames that the failure concerns)
Decoded = tuple[int, np.ndarray | str, int]
# OpenCV reports the end of the video at a packet that it cannot decode. If it is asked again, it goes on.
_ATTEMPTS = 64
# The number of frames in the header may be an estimate.
_TOLERATED_LOSS = 0.05


class OpenCVVideo:
    """A video that is decoded by OpenCV.

    Args:
        path (str | int): File, address or camera number.
        decoder (int, optional): OpenCV's number of the library that decodes. Defaults to None: any that can.

    Raises:
        UsageError: The header names frames that are too large for the memory, see :func:`require_size`.

    Attributes:
        fps (float | None): Frames per second; None if not known.
        num_frames (int | None): Number of frames that are shown according to the header; None if not known.
    """

    def __init__(self, path: str | int, decoder: int | None = None) -> None:
        self.path = path
        self._capture = cv2.VideoCapture(path) if decoder is None else cv2.VideoCapture(path, decoder)
        self._is_file = isinstance(path, str) and Path(path).is_file()
        if self._is_file:
            self._require_size()
        fps, num_frames = self._capture.get(cv2.CAP_PROP_FPS), self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        # cameras and streams that do not know their rate may report 90000
        self.fps: float | None = fps if 0 < fps <= FPS_RANGE[1] else None
        self.num_frames: int | None = int(num_frames) if math.isfinite(num_frames) and num_frames > 0 else None
        if self.num_frames is not None and isinstance(path, str) and self._is_file:
            self.num_frames = min(self.num_frames, count_shown_frames(path) or self.num_frames)

    @property
    def is_open(self) -> bool:
        """Whether the file is a video; its frames may still be broken."""
        return self._capture.isOpened()

    @property
    def is_readable(self) -> bool:
        """Try to grab the first frame, which is consumed, and return whether that worked."""
        return self._capture.isOpened() and any(self._capture.grab() for _ in range(_ATTEMPTS))

    def read(self, stride: int = 1) -> Iterator[Decoded]:
        """Decode the video.

        Args:
            stride (int): Yield every ``stride``-th frame. Defaults to 1.

        Yields:
            tuple: Position, image (BGR) or reason for a failure, and number of frames that the failure concerns.
        """
        self._require_size()
        watch = SizeWatch(self.path) if isinstance(self.path, str) and self._is_file else None
        index, time = 0, 0.
        while True:
            problem = None if watch is None else watch.look(index)
            if not self._capture.grab():
                lost = self._lost_frames(index, time)
                if lost is None:
                    return
                yield index, (f'{lost} frame(s) from here on cannot be decoded: the file is damaged or truncated. '
                              'Copy it again, or re-encode its intact part (ffmpeg -i IN -c:v libx264 OUT.mp4)'), lost
                if self._ended:
                    return
                index += lost
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if index % stride == 0 and problem is not None:
                yield index, problem, 1
            elif index % stride == 0:
                intact, image = self._capture.retrieve()
                yield index, image if intact else 'the frame cannot be decoded', 1
            index += 1

    def _require_size(self) -> None:
        """Check the size of the frames in the header, see :func:`require_size`."""
        require_size(self.path, self._capture.get(cv2.CAP_PROP_FRAME_WIDTH),
                     self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    def _lost_frames(self, index: int, time: float) -> int | None:
        """Number of frames that are lost at a failure to decode; None if the video has ended."""
        self._ended = False
        if self.num_frames is None or index >= self.num_frames:
            return None
        if any(self._capture.grab() for _ in range(_ATTEMPTS)):
            passed = (self._capture.get(cv2.CAP_PROP_POS_MSEC) - time) * (self.fps or 0) / 1000
            return int(min(max(round(passed) - 1, 1), self.num_frames - index))
        self._ended = True
        missing = self.num_frames - index
        return missing if missing > max(2, _TOLERATED_LOSS * self.num_frames) else None

    def close(self) -> None:
        """Release the file or camera."""
        self._capture.release()

    def __enter__(self) -> 'OpenCVVideo':
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


class PyAVVideo:
    """A video that is decoded by PyAV; see :class:`OpenCVVideo`.

    Args:
        path (str): File.

    Raises:
        ImportError: PyAV is not installed.
        OSError: PyAV cannot open the file.
        UsageError: The header names frames that are too large for the memory, see :func:`require_size`.
    """

    def __init__(self, path: str) -> None:
        import av  # optional dependency
        self._path = path
        self._error = getattr(av, 'FFmpegError', getattr(av, 'AVError', OSError))  # AVError in old releases
        try:
            self._container = av.open(path)
        except self._error as error:
            raise OSError(str(error)) from error
        if not self._container.streams.video:
            self._container.close()
            raise OSError('it has no video track')
        self._stream = self._container.streams.video[0]
        try:
            require_size(path, self._stream.codec_context.width, self._stream.codec_context.height)
        except UsageError:
            self.close()
            raise
        self.fps: float | None = float(self._stream.average_rate) if self._stream.average_rate else None
        self.num_frames: int | None = self._stream.frames or None

    def read(self, stride: int = 1) -> Iterator[Decoded]:
        """See :meth:`OpenCVVideo.read`."""
        index = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = packet.decode() if packet is not None else []
            except self._error as error:
                yield index, f'the frame cannot be decoded ({error})', 1
                index += 1
                continue
            if packet is None:
                return
            for frame in frames:
                require_size(self._path, frame.width, frame.height)
                if index % stride == 0:
                    image = frame.to_ndarray(format='bgr24')
                    turns = round(getattr(frame, 'rotation', 0) / 90) % 4  # OpenCV rotates frames by itself
                    yield index, np.ascontiguousarray(np.rot90(image, turns)), 1
                index += 1

    def close(self) -> None:
        """Release the file."""
        self._container.close()

    def __enter__(self) -> 'PyAVVideo':
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def open_video(path: str | int) -> OpenCVVideo | PyAVVideo:
    """Open a video file, stream or camera.

    Args:
        path (str | int): File, address or camera number.

    Returns:
        OpenCVVideo | PyAVVideo: The video, for use in a ``with`` statement.

    Raises:
        UsageError: The video cannot be opened, its frames are too large for the memory, or none can be decoded.
    """
    if isinstance(path, int):
        camera = OpenCVVideo(path)
        if not camera.is_readable:
            camera.close()
            raise UsageError(f'camera {path} cannot be opened: check that it is connected, that no other program uses '
                             'it, and that you may access it')
        return camera
    with OpenCVVideo(path) as probe:
        readable = probe.is_readable
    if readable:
        return OpenCVVideo(path)
    if '://' in path:
        raise UsageError(why_unreadable(path))
    return _open_by_pyav(path)


def open_pipe(path: str) -> OpenCVVideo:
    """Open a named pipe once, since what is read from it is gone.

    Args:
        path (str): The pipe.

    Returns:
        OpenCVVideo: The video, for use in a ``with`` statement.

    Raises:
        UsageError: What comes out of the pipe is no video.
    """
    video = OpenCVVideo(path, cv2.CAP_FFMPEG)  # other decoders would open it again if this one fails
    if not video.is_open:
        video.close()
        raise UsageError(f'what comes out of the pipe "{path}" cannot be decoded. Send a format without seeking, '
                         'such as mkv: ffmpeg -i IN -c copy -f matroska - | ...')
    video.num_frames = None  # the header of a stream announces nothing that could be relied on
    return video


def _open_by_pyav(path: str) -> PyAVVideo:
    try:
        with PyAVVideo(path) as probe:
            readable = any(not isinstance(content, str) for _, content, _ in probe.read())
        if readable:
            return PyAVVideo(path)
        reason = 'PyAV finds no frame in it, either'
    except ImportError:
        reason = 'PyAV (pip install av) can read more formats'
    except OSError as error:
        reason = f'nor by PyAV: {error}'
    raise UsageError(f'"{path}" ({Path(path).stat().st_size} bytes) cannot be decoded by OpenCV ({reason}). If it '
                     'plays elsewhere, re-encode it: ffmpeg -i IN -c:v libx264 OUT.mp4; otherwise copy it again')
