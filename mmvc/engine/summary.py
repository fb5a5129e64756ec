# Copyright (c) The mmvc contributors. All rights reserved.
"""Table of the metrics of several stages."""

from prettytable import PrettyTable

TRIVIAL_ROW = 'most frequent class everywhere'
_TRIVIAL_SUFFIX = '_trivial'


def format_summary(metrics: dict[str, dict[str, float]]) -> str:
    """Format metrics as a table with one row per stage and one column per metric.

    A metric ``<name>_trivial`` is the score of predicting the most frequent class everywhere. It is shown in an extra
    row, in the column of ``<name>``.

    Args:
        metrics (dict[str, dict[str, float]]): Metrics by name for each stage, in the order of the rows.

    Returns:
        str: The table, with ``-`` for a missing metric.
    """
    columns: list[str] = []
    trivial: dict[str, float] = {}
    for numbers in metrics.values():
        for name, value in numbers.items():
            if name.endswith(_TRIVIAL_SUFFIX):
                trivial[name[:-len(_TRIVIAL_SUFFIX)]] = value
            elif name not in columns:
                columns.append(name)
    columns += [name for name in trivial if name not in columns]
    rows = dict(metrics, **{TRIVIAL_ROW: trivial}) if trivial else metrics
    table = PrettyTable(['stage', *columns])
    table.align = 'r'
    table.align['stage'] = 'l'
    for label, numbers in rows.items():
        table.add_row([label, *(f'{numbers[name]:.2f}' if name in numbers else '-' for name in columns)])
    return table.get_string()
