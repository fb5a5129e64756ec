# Copyright (c) The mmvc contributors. All rights reserved.
from collections.abc import Sequence

import numpy as np

from .colors import stable_colors
from .drawing import legend_strip
from .segment_map import SegmentMap


class Legend:
    """Classes of a video with their colours: the colour of the class, or the colours of its tracks.

    Add all frames before drawing, so that the legend does not change during the video.

    Args:
        classes (Sequence[str]): Names of the classes.
        palette (np.ndarray): RGB colour of each class, (K, 3).
    """

    def __init__(self, classes: Sequence[str], palette: np.ndarray) -> None:
        self.classes = classes
        self.palette = palette
        self._tracks: dict[int, set[int]] = {}
        self._marks: dict[str, Sequence[int]] = {}

    def add(self, segments: SegmentMap | None) -> 'Legend':
        """Add the classes and tracks of a frame.

        Args:
            segments (SegmentMap, optional): Segments of a frame; None adds nothing.

        Returns:
            Legend: Itself.
        """
        if segments is not None:
            for index in segments.present():
                self.add_segment(segments.classes[index], index if index in segments.tracks else None)
        return self

    def add_segment(self, label: int, track: int | None = None) -> None:
        """Add a class, and optionally the id of one of its tracks."""
        tracks = self._tracks.setdefault(label, set())
        if track is not None:
            tracks.add(track)

    def mark(self, name: str, color: Sequence[int]) -> 'Legend':
        """Add an entry that is not a class. It comes after the classes.

        Args:
            name (str): What the colour means.
            color (Sequence[int]): The colour, RGB.

        Returns:
            Legend: Itself.
        """
        self._marks[name] = color
        return self

    def __bool__(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self._tracks or self._marks)

    @property
    def class_ids(self) -> list[int]:
        """Indices of the classes in the legend, in ascending order."""
        return sorted(self._tracks)

    def draw(self, width: int, scale: float = 1.) -> np.ndarray:
        """Draw the legend.

        Args:
            width (int): Width in pixels.
            scale (float): Factor for boxes and letters, see :func:`text_scale`. Defaults to 1.

        Returns:
            np.ndarray: RGB, uint8, (H, width, 3).
        """
        colors = [stable_colors(sorted(self._tracks[label])) if self._tracks[label] else self.palette[label]
                  for label in self.class_ids]
        names = [self.classes[label] for label in self.class_ids]
        return legend_strip(width, [*names, *self._marks], [*colors, *self._marks.values()], scale)
