# Copyright (c) The mmvc contributors. All rights reserved.
"""The numbers of several stages side by side."""


from prettytable import PrettyTable

TRIVIAL_ROW = 'most frequent class everywhere'
_TRIVIAL_SUFFIX = '_trivial'


def format_summary(metrics: dict[str, dict[str, float]]) -> str:
    """Make a table: a row per stage, a column per number.

    A number called ``<name>_trivial`` is what the most frequent class everywhere would reach; it is shown in a row of
    its own, below ``<name>``.

    Args:
        metrics (dict[str, dict[str, float]]): Numbers by name, for each stage, in order.

    Returns:
        str: The table; ``-`` where a stage has no such number.
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
