# Copyright (c) The mmvc contributors. All rights reserved.
"""What all writers of predictions share: the settings, and what is known of a video."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .results import FrameResult

AddFrame = Callable[[FrameResult], None]


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video that are known before its first frame.

    Attributes:
        name (str): Its name, unique in a run.
        source (str): Where it came from.
        fps (float): Frames per second to write.
        is_image (bool): Whether it is a single image.
        stride (int): Every how manieth frame of the source is read.
        file (Path, optional): The video file that it is, whose sound goes with the frames. None: there is none.
    """

    name: str
    source: str
    fps: float
    is_image: bool
    stride: int
    file: Path | None


@dataclass(frozen=True)
class WriterSettings:
    """Settings that all writers share.

    Attributes:
        out_dir (Path): Folder to write to.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        alpha (float): Opacity of the colours over the frames, from 0 to 1.
        score_thr (float): Instances that score less are not drawn.
        side_by_side (bool): Whether overlays show the frame beside the prediction.
        legend (bool): Whether overlays have a legend of the classes below.
    """

    out_dir: Path
    task: str
    classes: Sequence[str]
    palette: Sequence[Sequence[int]]
    alpha: float = 0.6
    score_thr: float = 0.3
    side_by_side: bool = False
    legend: bool = True


class Writer:
    """Writes one kind of file.

    Args:
        settings (WriterSettings): Settings of all writers.
    """

    def __init__(self, settings: WriterSettings) -> None:
        self.settings = settings

    def target(self, video: VideoInfo) -> Path:
        """The file or folder that the video's predictions end up in."""
        raise NotImplementedError

    def entry(self, video: VideoInfo) -> Any:
        """What a file for several videos says of a complete one, as plain data; None if there is no such file."""
        return None

    def restore(self, video: VideoInfo, entry: Any) -> None:
        """List a video of an earlier run in a file for several videos.

        Args:
            video (VideoInfo): The video.
            entry (Any): What :meth:`entry` returned.
        """

    def open(self, video: VideoInfo) -> AbstractContextManager[AddFrame]:
        """Begin a video; the function that is returned takes one frame after the other."""
        raise NotImplementedError
