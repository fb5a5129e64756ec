# Copyright (c) The mmvc contributors. All rights reserved.
"""Results as a table: one row per segment of a frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mmvc.utils.errors import UsageError

if TYPE_CHECKING:
    from .segments import FrameSegments

#: Columns of a table. ``frame`` is the position in the source, from 0; ``track_id`` is None for what is no object
#: (class regions, stuff); ``score`` is None for VSS; ``area`` and the box (``x``, ``y``, ``width``, ``height``) are in
#: pixels.
COLUMNS = ('frame', 'name', 'track_id', 'class_id', 'class_name', 'score', 'area', 'x', 'y', 'width', 'height')


def to_rows(frame: FrameSegments) -> list[dict]:
    """Make the rows of one frame.

    Args:
        frame (FrameSegments): The frame.

    Returns:
        list[dict]: One dict with the keys ``COLUMNS`` per segment.
    """
    return [
        dict(zip(COLUMNS, (frame.index, frame.name, segment.id if segment.is_track else None, segment.label,
                           segment.class_name, segment.score, segment.area, *map(int, segment.box))))
        for segment in frame.segments
    ]


def to_data_frame(rows: Iterable[dict]) -> Any:
    """Convert rows to a ``pandas.DataFrame``.

    Args:
        rows (Iterable[dict]): See :func:`to_rows`.

    Returns:
        pandas.DataFrame: A column for each of ``COLUMNS``; ``track_id`` has pandas' integer type that allows gaps.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas  # optional dependency
    except ImportError as error:
        raise UsageError('a data frame needs pandas: install it (pip install pandas), or use to_table()') from error
    return pandas.DataFrame(list(rows), columns=list(COLUMNS)).astype(dict(track_id='Int64', score='Float64'))


def to_csv(rows: Iterable[dict]) -> str:
    """Convert rows to the text of a CSV file, whose first line names the columns; None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
