# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Generator, Iterator
from contextlib import closing

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

from .read_ahead import read_ahead
from .results import SkippedFrame
from .sources import Frame, FrameSource


class FrameReader:
    """Reads a source frame by frame, and stops at or skips broken frames.

    It can be iterated again if the source can be read again. Frames of files and cameras are decoded in a thread, a
    little ahead.

    Args:
        source (FrameSource): The source.
        stride (int): Use every ``stride``-th frame. Defaults to 1.
        max_frames (int, optional): Stop after this many frames. Defaults to None: all.
        skip_broken (bool): Whether to skip frames that cannot be read or differ in size from the first one. They are
            listed in ``skipped``. Defaults to False: they are an error.

    Attributes:
        skipped (list[SkippedFrame]): Frames that the latest iteration skipped.
        size (tuple[int, int]): Height and width of the frames; (0, 0) before the first frame is read.
        num_frames (int): Number of frames that the latest iteration yielded.
    """

    def __init__(self, source: FrameSource, stride: int = 1, max_frames: int | None = None,
                 skip_broken: bool = False) -> None:
        check_number('stride', stride, 1, whole=True)
        if max_frames is not None:
            check_number('max_frames', max_frames, 1, whole=True)
        self.source = source
        self.stride = stride
        self.max_frames = max_frames
        self.skip_broken = skip_broken
        self.skipped: list[SkippedFrame] = []
        self.size: tuple[int, int] = (0, 0)
        self.num_frames = 0
        self._stopped = False

    def stop(self) -> None:
        """Let the latest frame be the last one of the video."""
        self._stopped = True

    @property
    def fps(self) -> float | None:
        """Frames per second after the stride; None if the source does not know its own."""
        return self.source.fps and self.source.fps / self.stride

    @property
    def expected_frames(self) -> int | None:
        """Number of frames that an iteration yields; None if it is not known."""
        known = self.source.num_frames and -(-self.source.num_frames // self.stride)
        return min(filter(None, (known, self.max_frames)), default=None)

    def __iter__(self) -> Iterator[Frame]:
        self.skipped, self.size, self.num_frames = [], (0, 0), 0
        with closing(self._read()) as frames:
            for frame in frames:
                if isinstance(frame, Frame) and self.num_frames and frame.image.shape[:2] != self.size:
                    frame = SkippedFrame(frame.index, frame.name, self._size_differs(frame))
                if isinstance(frame, SkippedFrame):
                    if not self.skip_broken:
                        raise UsageError(f'{self.source.description}: frame {frame.index} ("{frame.name}"): '
                                         f'{frame.reason}. To skip such frames, set skip_broken=True (--skip-broken)')
                    self.skipped.append(frame)
                    continue
                self.size = frame.image.shape[0], frame.image.shape[1]
                self.num_frames += 1
                yield frame
                if self._stopped or self.num_frames == self.max_frames:
                    break
        if not self.num_frames:
            more = f': {self.skipped[0].reason}' if self.skipped else ''
            raise UsageError(f'{self.source.description}: no frame could be read{more}')

    def _read(self) -> Generator[Frame | SkippedFrame, None, None]:
        frames = self.source.read(self.stride)
        if self.source.frames_ahead:
            frames = read_ahead(frames, self.source.frames_ahead, _size_of, self.max_frames)
        yield from frames

    def _size_differs(self, frame: Frame) -> str:
        (height, width), (first_height, first_width) = frame.image.shape[:2], self.size
        return (f'it is {width}x{height}, the frames before are {first_width}x{first_height}; all frames of a video '
                'must have the same size: resize the frame, or segment the two parts separately')


def _size_of(frame: Frame | SkippedFrame) -> int:
    """Bytes of a frame."""
    return frame.image.nbytes if isinstance(frame, Frame) else 0
