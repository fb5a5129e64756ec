# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Iterator

from mmvc.utils.arguments import check_number
from mmvc.utils.errors import UsageError

from .results import SkippedFrame
from .sources import Frame, FrameSource


class FrameReader:
    """Reads a source frame by frame and decides about bad ones. Can be iterated again where the source can.

    Args:
        source (FrameSource): The source.
        stride (int): Take every ``stride``-th frame. Defaults to 1.
        max_frames (int, optional): Stop after this many frames. Defaults to None: all.
        skip_broken (bool): Whether to leave out frames that cannot be read or have another size than the first one,
            and note them in ``skipped``. Defaults to False: they are an error.

    Attributes:
        skipped (list[SkippedFrame]): What was left out in the latest reading.
        size (tuple[int, int]): Height and width of the frames; (0, 0) before the first one.
        num_frames (int): Frames given out in the latest reading.
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
        """End the video with the frame that was read last."""
        self._stopped = True

    @property
    def fps(self) -> float | None:
        """Frames per second of what is read, if the source tells."""
        return self.source.fps and self.source.fps / self.stride

    @property
    def expected_frames(self) -> int | None:
        """How many frames will come, if known."""
        known = self.source.num_frames and -(-self.source.num_frames // self.stride)
        return min(filter(None, (known, self.max_frames)), default=None)

    def __iter__(self) -> Iterator[Frame]:
        self.skipped, self.size, self.num_frames = [], (0, 0), 0
        for frame in self.source.read(self.stride):
            if isinstance(frame, Frame) and self.num_frames and frame.image.shape[:2] != self.size:
                frame = SkippedFrame(frame.index, frame.name, self._size_differs(frame))
            if isinstance(frame, SkippedFrame):
                if not self.skip_broken:
                    raise UsageError(f'{self.source.description}: frame {frame.index} ("{frame.name}"): '
                                     f'{frame.reason}. To leave out such frames: skip_broken (--skip-broken)')
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

    def _size_differs(self, frame: Frame) -> str:
        (height, width), (first_height, first_width) = frame.image.shape[:2], self.size
        return (f'it is {width}x{height}, the frames before are {first_width}x{first_height}; a video has one size: '
                'resize the frame, or segment the two parts on their own')
