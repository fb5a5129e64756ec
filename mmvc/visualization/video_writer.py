# Copyright (c) The mmvc contributors. All rights reserved.
import os
from pathlib import Path
from types import TracebackType
from typing import Optional, Type, Union

import cv2
import numpy as np

from mmvc.utils.errors import DataError
from mmvc.utils.numbers import check_number

#: frames per second that OpenCV can write into an mp4
FPS_RANGE = (0.01, 600)


class VideoWriter:
    """Writes an mp4 that appears under its name only when it is complete.

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
        # OpenCV chooses the container by the ending, so the temporary name keeps it
        self._temporary = self.path.with_name(f'.{self.path.stem}.{os.getpid()}.tmp.mp4')
        self._writer: Optional[cv2.VideoWriter] = None

    def __enter__(self) -> 'VideoWriter':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, frame: np.ndarray) -> None:
        """Add a frame.

        Args:
            frame (np.ndarray): RGB, uint8, (H, W, 3), all of one size; an odd size is filled up by a pixel.
        """
        height, width = frame.shape[:2]
        size = (width + width % 2, height + height % 2)  # the codec halves the colour planes
        if self._writer is None:
            # the format counts in 16 bits: numbers above 65 may have two decimals
            fps = round(self.fps, 2) if self.fps > 65 else self.fps
            self._writer = cv2.VideoWriter(str(self._temporary), cv2.VideoWriter.fourcc(*'mp4v'), fps, size)
            if not self._writer.isOpened():
                raise OSError(f'OpenCV cannot write the video "{self.path}": is the folder writable, and was OpenCV '
                              'built with FFmpeg?')
            self._size = size
        if size != self._size:
            raise DataError(f'frames of the video "{self.path}" differ in size: {size} after {self._size}')
        frame = np.pad(frame, ((0, size[1] - height), (0, size[0] - width), (0, 0)), mode='edge')
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        if self._writer is not None:
            self._writer.release()
            if kind is None:
                os.replace(self._temporary, self.path)
        if kind is not None:
            self._temporary.unlink(missing_ok=True)
