# Copyright (c) The mmvc contributors. All rights reserved.
"""Tables of numbers, as text and in the log."""

import math
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from prettytable import PrettyTable


def format_rows(rows: Sequence[dict[str, Any]]) -> str:
    """Draw a table of rows with the same keys: text, whole numbers, and fractions, which are shown in percent."""
    table = PrettyTable(list(rows[0]) if rows else [''], align='r')
    table.align[table.field_names[0]] = 'l'
    table.add_rows([[_cell(value) for value in row.values()] for row in rows])
    return table.get_string()


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return '-' if math.isnan(value) else f'{100 * value:.2f}'


def log_rows(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Log a table, see :func:`format_rows`."""
    print_log(f'{title}\n{format_rows(rows)}', logger='current')
