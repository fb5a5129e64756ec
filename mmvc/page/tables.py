# Copyright (c) The mmvc contributors. All rights reserved.
"""Tables of what a video shows: its classes and its tracks."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmvc.apis import VideoResult

CLASS_COLUMNS = ('class', 'pixels (%)', 'frames', 'frames (%)')
TRACK_COLUMNS = ('track', 'class', 'frames', 'first frame', 'last frame', 'pixels (%)', 'score')
Rows = list[list[str | int | float | None]]


@dataclass
class _Count:
    """Pixels and frames of a class or a track."""
    area: int = 0
    frames: set[int] = field(default_factory=set)
    scores: list[float] = field(default_factory=list)


def class_rows(result: VideoResult) -> Rows:
    """Count the classes of a video.

    Args:
        result (VideoResult): Result with its frames.

    Returns:
        list[list]: Rows with ``CLASS_COLUMNS``, the largest class first: its name, its share of all pixels of the
        video in percent (instances that overlap count twice), the number of frames that show it, and their share in
        percent.
    """
    counts: dict[str, _Count] = {}
    for frame in result.frames:
        for segment in frame.segments:
            count = counts.setdefault(segment.class_name, _Count())
            count.area += segment.area
            count.frames.add(frame.index)
    ordered = sorted(counts.items(), key=lambda item: -item[1].area)
    return [[name, _share(count.area, result), len(count.frames),
             round(100 * len(count.frames) / result.num_frames, 1)] for name, count in ordered]


def track_rows(result: VideoResult) -> Rows:
    """List the tracks of a video: instances (VIS) and things (VPS). VSS has none.

    Args:
        result (VideoResult): Result with its frames.

    Returns:
        list[list]: Rows with ``TRACK_COLUMNS``, in the order in which they appear: id, class, number of frames, first
        and last frame, share of all pixels of the video in percent, mean score.
    """
    counts: dict[tuple[int, str], _Count] = {}
    for frame in result.frames:
        for segment in frame.segments:
            if segment.is_track:
                count = counts.setdefault((segment.id, segment.class_name), _Count())
                count.area += segment.area
                count.frames.add(frame.index)
                count.scores += [] if segment.score is None else [segment.score]
    return [[track, name, len(count.frames), min(count.frames), max(count.frames), _share(count.area, result),
             round(sum(count.scores) / len(count.scores), 3) if count.scores else None]
            for (track, name), count in counts.items()]


def to_csv(columns: Sequence[str], rows: Rows) -> str:
    """Text of a CSV file; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([columns, *rows])
    return text.getvalue()


def _share(area: int, result: VideoResult) -> float:
    height, width = result.size
    return round(100 * area / (height * width * result.num_frames), 2)
