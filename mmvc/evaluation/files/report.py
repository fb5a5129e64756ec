# Copyright (c) The mmvc contributors. All rights reserved.
import csv
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmvc.evaluation.functional import why_undefined
from mmvc.evaluation.tables import format_rows
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import named


@dataclass(frozen=True)
class ScoreReport:
    """Scores of a folder of predictions. Attributes are fractions; text and files have percent.

    Attributes:
        task (str): ``'vss'``, ``'vps'`` or ``'vis'``.
        numbers (dict[str, float]): The benchmark's numbers; NaN if the data do not define one.
        classes (list[dict]): One row per class.
        videos (list[dict]): One row per video: ``video``, ``frames``, counts and numbers.
        sort_by (str): Name of the number that orders the videos.
        missing (list[str]): ``<video>/<frame>`` without a prediction, counted as empty.
        unused (list[str]): Predicted videos and frames that the ground truth does not have.
        notes (list[str]): Remarks on the data.
    """
    task: str
    numbers: dict[str, float]
    classes: list[dict]
    videos: list[dict]
    sort_by: str
    missing: list[str]
    unused: list[str]
    notes: list[str] = field(default_factory=list)

    def worst_videos(self, limit: int) -> list[dict]:
        """Return the rows of the videos with the lowest numbers, worst first, without those that have no number."""
        rows = [row for row in self.videos if not math.isnan(row[self.sort_by])]
        return sorted(rows, key=lambda row: (row[self.sort_by], row['video']))[:limit]

    def undefined(self) -> list[str]:
        """Say why the data do not define some numbers."""
        return why_undefined(self.numbers, [row['frames'] for row in self.videos])

    def to_text(self, worst: int = 10) -> str:
        """Format the tables.

        Args:
            worst (int): Number of worst videos to list. Defaults to 10.
        """
        frames = sum(row['frames'] for row in self.videos)
        parts = ['Classes (%)', format_rows(self.classes)]
        rows = self.worst_videos(worst)
        if rows:
            parts += [f'Worst videos by {self.sort_by} (%)', format_rows(rows)]
        parts += [f'{len(self.videos)} videos, {frames} frames (%)',
                  format_rows([{'': name, '%': value} for name, value in self.numbers.items()
                               if not math.isnan(value)]), *self.undefined()]
        if self.missing:
            parts.append(f'WARNING: {len(self.missing)} frames without a prediction count as empty: '
                         f'{named(self.missing)}')
        if self.unused:
            parts.append(f'{len(self.unused)} not in the ground truth, not used: {named(self.unused)}')
        return '\n'.join(parts + self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole report for a JSON file: percent, None for undefined numbers."""
        return dict(
            task=self.task,
            numbers=_in_percent(self.numbers),
            undefined=self.undefined(),
            missing=self.missing,
            unused=self.unused,
            notes=self.notes,
            classes=[_in_percent(row) for row in self.classes],
            videos=[_in_percent(row) for row in self.videos])

    def save(self, path: str | Path) -> list[Path]:
        """Write ``<path>.json``, ``<path>_classes.csv`` and ``<path>_videos.csv``.

        Args:
            path (str | Path): With or without ``.json``.

        Returns:
            list[Path]: The files.
        """
        files = report_files(path)
        contents = (json.dumps(self.to_dict(), indent=1) + '\n', _to_csv(self.classes), _to_csv(self.videos))
        for file, content in zip(files, contents):
            atomic_write(file, content.encode('utf-8', 'surrogateescape'))
        return files


def report_files(path: str | Path) -> list[Path]:
    """Files of a report.

    Args:
        path (str | Path): With or without ``.json``.

    Returns:
        list[Path]: ``<path>.json``, ``<path>_classes.csv`` and ``<path>_videos.csv``.
    """
    path = Path(path)
    stem = path.with_suffix('') if path.suffix == '.json' else path
    return [stem.with_name(f'{stem.name}{ending}') for ending in ('.json', '_classes.csv', '_videos.csv')]


def _in_percent(row: dict[str, Any]) -> dict[str, Any]:
    """Fractions in percent, None for NaN; text and whole numbers as they are."""
    return {key: value if not isinstance(value, float) else None if math.isnan(value) else 100 * value
            for key, value in row.items()}


def _to_csv(rows: list[dict]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator='\n')
    writer.writeheader()
    writer.writerows(_in_percent(row) for row in rows)  # None becomes an empty cell
    return text.getvalue()
