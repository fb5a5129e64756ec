# Copyright (c) The mmvc contributors. All rights reserved.
import os
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Iterator, Optional, Type, Union

import numpy as np

from mmvc.utils.errors import DataError
from mmvc.utils.numbers import check_number

from .encoders import FPS_RANGE, Encoder, open_encoder


class VideoWriter:
    """Writes an mp4 that appears under its name only when it is complete.

    It is H.264 where PyAV is installed (``pip install av``), and else MPEG-4, which browsers do not play.

    Args:
        path (str | Path): File to write, ending in ``.mp4``; its folder is made if missing.
        fps (float): Frames per second, within ``FPS_RANGE``.

    Raises:
        UsageError: ``fps`` is out of range.

    Examples:
        >>> with VideoWriter('out.mp4', fps=10) as writer:
        ...     for frame in frames:
        ...         writer.write(frame)
    """

    def __init__(self, path: Union[str, Path], fps: float) -> None:
        check_number('fps', fps, *FPS_RANGE)
        self.path = Path(path)
        self.fps = fps
        # encoders choose the container by the ending, so the temporary name keeps it
        self._temporary = self.path.with_name(f'.{self.path.stem}.{os.getpid()}.tmp.mp4')
        self._encoder: Optional[Encoder] = None
        self._size = (0, 0)

    def __enter__(self) -> 'VideoWriter':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, frame: np.ndarray) -> None:
        """Add a frame.

        Args:
            frame (np.ndarray): RGB, uint8, (H, W, 3), all of one size; an odd size is filled up by a pixel.
        """
        height, width = frame.shape[:2]
        size = (width + width % 2, height + height % 2)  # codecs halve the colour planes
        if self._encoder is not None and size != self._size:
            raise DataError(f'frames of the video "{self.path}" differ in size: {size} after {self._size}')
        frame = np.pad(frame, ((0, size[1] - height), (0, size[0] - width), (0, 0)), mode='edge')
        with self._named_errors():
            if self._encoder is None:
                self._encoder, self._size = open_encoder(self._temporary, self.fps, size), size
            self._encoder.write(frame)

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        try:
            if self._encoder is not None:
                with self._named_errors():  # encoders keep frames back
                    self._encoder.close()
                if kind is None:
                    os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(f'the video "{self.path}" cannot be written: {error}') from error
