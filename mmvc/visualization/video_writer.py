# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from mmvc.utils.arguments import check_number
from mmvc.utils.atomic import atomic_path
from mmvc.utils.choices import FPS_RANGE
from mmvc.utils.errors import DataError

from .encoders import Encoder, open_encoder


class VideoWriter:
    """Writes an mp4 file, which appears under its name only when it is complete.

    The codec is H.264 if PyAV is installed (``pip install av``), otherwise MPEG-4, which browsers do not play.

    Args:
        path (str | Path): File to write, ending in ``.mp4``. Its folder is made if it is missing.
        fps (float): Frames per second, within ``FPS_RANGE``.
        finish (Callable, optional): Called with the path of the complete draft before it gets its name. Defaults to
            None.

    Raises:
        UsageError: ``fps`` is out of range.

    Examples:
        >>> with VideoWriter('out.mp4', fps=10) as writer:
        ...     for frame in frames:
        ...         writer.write(frame)
    """

    def __init__(self, path: str | Path, fps: float, finish: Callable[[Path], None] | None = None) -> None:
        check_number('fps', fps, *FPS_RANGE)
        self.path = Path(path)
        self.fps = fps
        self._finish = finish
        self._open = ExitStack()
        self._draft = self.path
        self._encoder: Encoder | None = None
        self._size = (0, 0)

    def __enter__(self) -> 'VideoWriter':
        # encoders choose the container by the suffix
        self._draft = self._open.enter_context(atomic_path(self.path, keep_suffix=True))
        self._open.push(self._finish_draft)
        return self

    def write(self, frame: np.ndarray) -> None:
        """Add a frame.

        Args:
            frame (np.ndarray): RGB, uint8, (H, W, 3). All frames have the same size. An odd height or width is padded
                by one pixel.

        Raises:
            DataError: The frame differs in size from those before it.
            OSError: The file cannot be written.
        """
        height, width = frame.shape[:2]
        size = (width + width % 2, height + height % 2)  # codecs need even sizes: they halve the colour planes
        if self._encoder is not None and size != self._size:
            raise DataError(f'frames of the video "{self.path}" differ in size: {size} after {self._size}; resize '
                            'them to one size')
        frame = np.pad(frame, ((0, size[1] - height), (0, size[0] - width), (0, 0)), mode='edge')
        with self._named_errors():
            if self._encoder is None:
                self._encoder, self._size = open_encoder(self._draft, self.fps, size), size
                self._open.callback(self._encoder.close)
            self._encoder.write(frame)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if self._encoder is None:
            self._open.pop_all()  # no frame was written, so there is no draft to rename
        if error is not None:  # it names the file already, or has nothing to do with it
            self._open.__exit__(kind, error, traceback)
            return
        with self._named_errors():  # encoders write their last frames when they are closed
            self._open.__exit__(kind, error, traceback)

    def _finish_draft(self, kind: type[BaseException] | None, error: BaseException | None,
                      traceback: TracebackType | None) -> None:
        """Called when the encoder has completed the draft."""
        if error is None and self._finish is not None:
            self._finish(self._draft)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno is None:
                raise OSError(f'the video "{self.path}" cannot be written: {error}') from error
            raise OSError(error.errno, f'the video "{self.path}" cannot be written: {error.strerror}') from error
