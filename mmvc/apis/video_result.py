# Copyright (c) The mmvc contributors. All rights reserved.
"""The result of a video."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import UsageError
from mmvc.utils.tasks import VIS

from .exports import coco_dataset
from .plotting import PICTURE_SUFFIXES, Picture, Preview, contact_sheet
from .results import SkippedFrame
from .results_table import to_csv, to_data_frame, to_rows
from .segments import FrameSegments


@dataclass(repr=False)
class VideoResult(Picture):
    """Result for one video.

    Attributes:
        video (str): Name of the video.
        source (str): Path, address or description of the input.
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        classes (tuple[str]): Names of the classes.
        palette (Sequence[Sequence[int]]): RGB colour of each class.
        size (tuple[int, int]): Height and width of its frames.
        fps (float, optional): Frames per second of the segmented frames, if the source knows its own.
        num_frames (int): Number of segmented frames.
        skipped (list[SkippedFrame]): Frames that could not be read.
        files (dict[str, Path]): Written files and folders, by format.
        frames (list[FrameSegments]): The prediction, run-length encoded; empty with ``return_frames=False``.
        error (str, optional): Why the video could not be segmented, with ``keep_going=True``; None if it was.
        is_earlier (bool): Whether an earlier run wrote the files, with ``skip_existing=True``. It has no ``frames``.
        preview (Preview): Some small frames, for :meth:`plot`.
    """

    video: str
    source: str
    task: str
    classes: tuple[str, ...] = ()
    palette: Sequence[Sequence[int]] = ()
    size: tuple[int, int] = (0, 0)
    fps: float | None = None
    num_frames: int = 0
    skipped: list[SkippedFrame] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    frames: list[FrameSegments] = field(default_factory=list)
    error: str | None = None
    is_earlier: bool = False
    preview: Preview = field(default_factory=Preview, compare=False)

    def above(self, score_thr: float) -> VideoResult:
        """Leave out segments with a score below a threshold; those without a score stay.

        Args:
            score_thr (float): Least score, in [0, 1].

        Returns:
            VideoResult: The result with the others.
        """
        return replace(self, frames=[frame.above(score_thr) for frame in self.frames])

    def class_maps(self, void: int = 255) -> np.ndarray:
        """Map each pixel of the video to its class index. For long videos, use ``class_map`` of one frame at a time.

        Args:
            void (int): Value for pixels without a segment. Defaults to 255.

        Returns:
            ndarray: (T, H, W), see :meth:`FrameSegments.class_map`.
        """
        return np.stack([frame.class_map(void) for frame in self._kept_frames()])

    def id_maps(self) -> np.ndarray:
        """Map each pixel of the video to one id. For long videos, use ``id_map`` of one frame at a time.

        Returns:
            ndarray: (T, H, W), see :meth:`FrameResult.id_map`.
        """
        return np.stack([frame.id_map() for frame in self._kept_frames()])

    def to_coco(self) -> dict:
        """Convert to a data set in COCO's form, with track ids; ``json.dump`` writes it, and pycocotools reads it.

        Returns:
            dict: ``info``, ``videos``, ``images`` (the frames), ``annotations`` and ``categories``.
        """
        return coco_dataset(self.video, self._kept_frames(), self.classes)

    def to_table(self) -> list[dict]:
        """Convert to rows, one per segment and frame: see :data:`mmvc.apis.results_table.COLUMNS`."""
        return [row for frame in self._kept_frames() for row in to_rows(frame)]

    def to_pandas(self) -> Any:
        """Convert to a ``pandas.DataFrame`` with the rows of :meth:`to_table`.

        Raises:
            UsageError: pandas is not installed.
        """
        return to_data_frame(self.to_table())

    def plot(self, num_frames: int = 9, alpha: float = 0.6, score_thr: float = 0.3) -> np.ndarray:
        """Draw some frames of the video side by side.

        Args:
            num_frames (int): Number of frames, evenly spaced, 1 to 16. Defaults to 9.
            alpha (float): Opacity of the colours over the frames, from 0 to 1. Defaults to 0.6.
            score_thr (float): Instances that score less are not drawn (VIS). Defaults to 0.3.

        Returns:
            ndarray: RGB, uint8, (H, W, 3).

        Raises:
            UsageError: The result has no frames.
        """
        frames = self._kept_frames()
        tiles = []
        for position in self.preview.chosen(num_frames):
            frame = frames[position]
            shown = frame.above(score_thr) if self.task == VIS else frame
            tiles.append((f'frame {frame.index}', self.preview.images[position], shown.segment_map()))
        return contact_sheet(tiles, self.classes, self.palette, alpha)

    def save(self, path: str | Path) -> Path:
        """Write the result to a file.

        Args:
            path (str | Path): File: ``.json`` for :meth:`to_coco`, ``.csv`` for :meth:`to_table`, or the suffix of a
                picture for :meth:`plot`.

        Returns:
            Path: The file.

        Raises:
            UsageError: The suffix is another one, or the result has no frames.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == '.json':
            atomic_write(path, json.dumps(self.to_coco()).encode())
        elif suffix == '.csv':
            atomic_write(path, to_csv(self.to_table()).encode())
        elif suffix in PICTURE_SUFFIXES:
            super().save(path)
        else:
            raise UsageError(f'"{path}" has an unknown suffix: use .json (COCO), .csv (table) or a picture such as '
                             '.png')
        return path

    def _kept_frames(self) -> list[FrameSegments]:
        if self.frames:
            return self.frames
        reason = self.error or ('its files are from an earlier run' if self.is_earlier else
                                'the inferencer was called with return_frames=False')
        raise UsageError(f'the result of "{self.video}" has no frames: {reason}')

    def _repr_png_(self) -> bytes | None:
        return super()._repr_png_() if self.frames else None

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameSegments]:
        """Iterate over ``frames``."""
        return iter(self.frames)

    def __getitem__(self, index: int) -> FrameSegments:
        return self.frames[index]

    def __repr__(self) -> str:
        if self.error is not None:
            return f'VideoResult({self.video!r}, error={self.error!r})'
        height, width = self.size
        frames = f'{self.num_frames} frame{"s" * (self.num_frames != 1)}'
        parts = [repr(self.video), self.task, f'{frames} of {width}x{height}']
        if self.skipped:
            parts.append(f'{sum(frame.count for frame in self.skipped)} skipped')
        if self.is_earlier:
            parts.append('from an earlier run')
        if self.files:
            parts.append('files: ' + ', '.join(f'{name} {str(path)!r}' for name, path in self.files.items()))
        return f'VideoResult({", ".join(parts)})'
