# Copyright (c) The mmvc contributors. All rights reserved.
"""Write pictures of a video: a sheet, a picture per frame, or a video file."""

from pathlib import Path
from types import TracebackType

import cv2
import numpy as np

from mmvc.utils.atomic import atomic_write
from mmvc.utils.choices import PICTURE_FORMS
from mmvc.utils.errors import UsageError
from mmvc.utils.names import output_path
from mmvc.visualization import Legend, PanelDrawer, VideoWriter

SHEET_ROWS = 6


class PictureWriter:
    """Writes pictures of a video in one of three forms.

    - ``'sheet'``: one picture with a row per frame, ``<out_dir>/<name>.png``;
    - ``'frames'``: a picture per frame, ``<out_dir>/<name>/<frame>.png``;
    - ``'video'``: ``<out_dir>/<name>.mp4``.

    A sheet or video appears when it is complete.

    Args:
        out_dir (str | Path): Folder to write to.
        name (str): Name of the video.
        drawer (PanelDrawer): Puts pictures side by side.
        legend (Legend, optional): Legend below the pictures. Defaults to None.
        form (str): ``'sheet'``, ``'frames'`` or ``'video'``. Defaults to 'sheet'.
        fps (float): Frames per second of a video. Defaults to 10.

    Raises:
        UsageError: The form is unknown.

    Examples:
        >>> with PictureWriter('out', 'street', drawer, form='video') as writer:
        ...     for name, image in frames:
        ...         writer.add(name, {'input': image})
    """

    def __init__(self,
                 out_dir: str | Path,
                 name: str,
                 drawer: PanelDrawer,
                 legend: Legend | None = None,
                 form: str = 'sheet',
                 fps: float = 10) -> None:
        if form not in PICTURE_FORMS:
            raise UsageError(f'form = {form!r}: expected one of {", ".join(PICTURE_FORMS)}')
        self.drawer = drawer
        self.legend = legend
        self._form = form
        name = name.replace('/', '_')
        self.path = output_path(out_dir, name, suffix=dict(sheet='.png', frames='', video='.mp4')[form])
        self._video = VideoWriter(self.path, fps) if form == 'video' else None
        self._rows: list[np.ndarray] = []

    def __enter__(self) -> 'PictureWriter':
        if self._video is not None:
            self._video.__enter__()
        return self

    def add(self, frame: str, columns: dict[str, np.ndarray]) -> None:
        """Add a frame.

        Args:
            frame (str): Name of the frame.
            columns (dict[str, np.ndarray]): Pictures by title, RGB, uint8 (H, W, 3).
        """
        if self._form == 'sheet':
            self._rows.append(self.drawer.compose_panel(columns))
            return
        panel = self.drawer.compose_panel(columns, self.legend)
        if self._video is not None:
            self._video.write(panel)
        else:
            _write_png(output_path(self.path, frame, suffix='.png'), panel)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        if self._video is not None:
            self._video.__exit__(kind, error, traceback)
        if kind is None and self._rows:
            width = max(row.shape[1] for row in self._rows)
            rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in self._rows]
            if self.legend:
                rows.append(self.legend.draw(width))
            _write_png(self.path, np.concatenate(rows))


def frames_to_show(form: str, max_frames: int | None) -> int | None:
    """Return the number of frames to show; None means all frames.

    Args:
        form (str): See :class:`PictureWriter`.
        max_frames (int, optional): Number that the user asked for. With None, it is 6 on a sheet and all in other
            forms.
    """
    return max_frames or (SHEET_ROWS if form == 'sheet' else None)


def spread(total: int, count: int | None) -> list[int]:
    """Choose frames that are evenly spread over a video, starting with the first one.

    Args:
        total (int): Number of frames of the video.
        count (int, optional): Number of frames to choose. With None or too large a number, all are chosen.

    Returns:
        list[int]: Indices of the frames, ascending.
    """
    if count is None or count >= total:
        return list(range(total))
    return [index * total // count for index in range(count)]


def _write_png(path: Path, image: np.ndarray) -> None:
    atomic_write(path, cv2.imencode('.png', image[..., ::-1])[1].tobytes())
