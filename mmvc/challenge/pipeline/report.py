# Copyright (c) The mmvc contributors. All rights reserved.
"""The metrics after each step of the pipeline."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from prettytable import PrettyTable

from mmvc.utils.atomic import atomic_write

REPORTED = ('mIoU', 'VC8', 'VC16')
TEXT_COLUMNS = 4  # the first columns of the table; the others hold numbers


@dataclass
class StepResult:
    """The result of one step.

    Args:
        step (str): ``'model'``, ``'aggregation'`` or ``'correction'``.
        name (str): Name of its output.
        details (str): Short description for the report.
        folder (str): Folder of its predictions.
        compared_with (str, optional): Name of the output without this step. Defaults to None: there is none.
        numbers (dict[str, float], optional): mIoU, VC8 and VC16 in percent, NaN where undefined. Defaults to None:
            there is no ground truth.
    """
    step: str
    name: str
    details: str
    folder: str
    compared_with: str | None = None
    numbers: dict[str, float] | None = None


@dataclass
class ChallengeReport:
    """The results of all steps.

    Args:
        results (list[StepResult]): The results in the order of the steps.
        ground_truth (str): Size of the ground truth, or why there are no numbers.
    """
    results: list[StepResult] = field(default_factory=list)
    ground_truth: str = ''

    def rows(self) -> list[dict]:
        """Return one row per step: its numbers, and their difference to the numbers without the step."""
        by_name = {result.name: result for result in self.results}
        rows = []
        for result in self.results:
            before = by_name.get(result.compared_with or '')
            row: dict[str, Any] = dict(step=result.step, name=result.name, details=result.details)
            row['compared with'] = result.compared_with or '-'
            row.update((metric, _number(result, metric)) for metric in REPORTED)
            for metric in REPORTED:
                row[f'{metric} +/-'] = row[metric] - _number(before, metric)
            rows.append(row)
        return rows

    def to_text(self) -> str:
        """Format the report as a plain-text table, in percent."""
        header, *cells = self._table()
        table = PrettyTable(header, align='r')
        for name in header[:TEXT_COLUMNS]:
            table.align[name] = 'l'
        table.add_rows(cells)
        return '\n'.join([table.get_string(), *self._remarks()])

    def to_markdown(self) -> str:
        """Format the report as a Markdown table, in percent."""
        header, *cells = self._table()
        ruler = ['---'] * TEXT_COLUMNS + ['---:'] * (len(header) - TEXT_COLUMNS)
        lines = [f'| {" | ".join(row)} |' for row in (header, ruler, *cells)]
        return '\n'.join([*lines, '', *(f'- {remark}' for remark in self._remarks())]) + '\n'

    def _table(self) -> list[list[str]]:
        """Return the header and the rows, as text."""
        rows = self.rows()
        return [list(rows[0]), *([_cell(key, value) for key, value in row.items()] for row in rows)]

    def _remarks(self) -> list[str]:
        """Return the lines below the table."""
        return [self.ground_truth, *self._without_effect()]

    def _without_effect(self) -> Sequence[str]:
        """Return a line for each step that did not raise the mIoU."""
        return [f'{row["name"]}: no gain in mIoU over {row["compared with"]}' for row in self.rows()
                if row['mIoU +/-'] <= 0]

    def save(self, folder: Path) -> None:
        """Write ``report.json`` and ``report.md``."""
        content = dict(
            ground_truth=self.ground_truth,
            steps=[dict(asdict(result), numbers=None if result.numbers is None else {
                name: None if math.isnan(value) else value for name, value in result.numbers.items()})
                   for result in self.results])
        atomic_write(folder / 'report.json', (json.dumps(content, indent=1) + '\n').encode())
        atomic_write(folder / 'report.md', self.to_markdown().encode('utf-8', 'surrogateescape'))


def _number(result: StepResult | None, metric: str) -> float:
    return math.nan if result is None or result.numbers is None else result.numbers.get(metric, math.nan)


def _cell(key: str, value: str | float) -> str:
    if not isinstance(value, float):
        return value
    return '-' if math.isnan(value) else f'{value:+.2f}' if '+/-' in key else f'{value:.2f}'
