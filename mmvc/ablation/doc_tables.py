# Copyright (c) The mmvc contributors. All rights reserved.
"""Tables of a document, made from the kept numbers of experiments."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmvc.utils.errors import UsageError

from .experiment import Experiment
from .report import mark_difference
from .statistics import Difference, adjust_p_values

#: how a cell can show its number
SHOWN = ('mean', 'mean_std', 'values', 'difference', 'difference_interval', 'mean_interval', 'text')
_COMPARING = ('difference', 'difference_interval', 'mean_interval')


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Args:
        table (str): Name of the table, for errors.
        find (Callable): ``data -> Experiment``.
        entries (dict): The entries of table, row and column; later ones have replaced earlier ones.
    """
    table: str
    find: Callable[[str], Experiment]
    entries: dict[str, Any]

    @property
    def show(self) -> str:
        """How the number is shown."""
        show = self.entries.get('show', 'mean')
        if show not in SHOWN:
            raise UsageError(f'table "{self.table}" has show: {show}, expected one of {", ".join(SHOWN)}')
        return str(show)

    @property
    def digits(self) -> int:
        """Number of digits after the point."""
        return int(self.entries.get('digits', 1))

    @property
    def experiment(self) -> Experiment:
        """Where the number is from."""
        return self.find(self._needed('data'))

    @property
    def variant(self) -> str:
        """The variant."""
        return self._filled(self._needed('variant'))

    @property
    def minus(self) -> str:
        """The variant that it is compared with."""
        return str(self.entries.get('minus', self.experiment.baseline))

    @property
    def metrics(self) -> list[str]:
        """The metrics; several are shown side by side."""
        metric = self._needed('metric')
        return [self._filled(name) for name in (metric if isinstance(metric, list) else [metric])]

    def key(self, metric: str) -> tuple[Path, str, str, str]:
        """What names a comparison."""
        return self.experiment.path, self.variant, self.minus, metric

    def _needed(self, key: str) -> Any:
        if self.entries.get(key) is None:
            raise UsageError(f'table "{self.table}": a cell has no {key}: give it to the table, the row or the column')
        return self.entries[key]

    def _filled(self, text: Any) -> str:
        try:
            return str(text).format(**self.entries)
        except (KeyError, IndexError, ValueError) as error:
            raise UsageError(f'table "{self.table}": "{text}" refers to an entry that the cell lacks '
                             f'({error})') from error


Compared = dict[tuple[Path, str, str, str], tuple[Difference, float]]


def make_table(name: str, spec: dict[str, Any], find: Callable[[str], Experiment]) -> list[str]:
    """Make a table and the line that says what it shows.

    Args:
        name (str): Name of the table, for errors.
        spec (dict): ``columns`` and ``rows`` (lists of dicts with a ``label``), ``head`` (label of the first column).
            All other entries belong to the cells: those of the table are defaults, those of a row and then of a column
            replace them. ``data`` names the experiment, ``variant`` and ``metric`` the number; these two may refer to
            other entries (``'p{patch}'``). Several metrics stand side by side. ``show`` is one of ``SHOWN``;
            ``minus`` is the variant that is subtracted (default: the baseline); ``digits`` (default 1); ``seed`` shows
            one seed only; ``key`` is the entry that ``show: text`` shows. The ``cells`` of a row replace what would be
            computed.
        find (Callable): ``data -> Experiment``.

    Returns:
        list[str]: Lines of Markdown.

    Raises:
        UsageError: An entry is missing or unknown, or no cell has a number.
    """
    for key in ('columns', 'rows'):
        if not isinstance(spec.get(key), list) or not spec[key]:
            raise UsageError(f'table "{name}" needs {key}: list at least one dict with a label')
    defaults = {key: value for key, value in spec.items() if key not in ('columns', 'rows', 'head')}
    rows = [[Cell(name, find, {**defaults, **row, **column}) for column in spec['columns']] for row in spec['rows']]
    computed = [cell for row in rows for cell in row if 'cells' not in cell.entries and cell.show != 'text']
    compared = _compare(computed)
    lines = [[str(spec.get('head', '')), *(str(column.get('label', '')) for column in spec['columns'])],
             ['---', *['---:'] * len(spec['columns'])]]
    for row, entries in zip(rows, spec['rows']):
        texts = entries['cells'] if 'cells' in entries else [_text(cell, compared) for cell in row]
        lines.append([str(entries.get('label', '')), *map(str, texts)])
    if not any(text for line in lines[2:] for text in line[1:]):
        raise UsageError(f'table "{name}" has no number: see its variants and metrics')
    table = ['|' + ''.join(f' {text} |' if text else ' |' for text in line) for line in lines]
    experiments = {cell.experiment.path: cell.experiment for cell in computed}
    return [*table, '', _caption(list(experiments.values()), compared, '†' in ''.join(table), spec.get('seed'))]


def _compare(cells: Sequence[Cell]) -> Compared:
    """Compute all differences of a table with their p-values, corrected for the number of differences."""
    found: dict[tuple[Path, str, str, str], Difference] = {}
    for cell in cells:
        for metric in cell.metrics if cell.show in _COMPARING and cell.variant != cell.minus else []:
            difference = cell.experiment.difference(cell.variant, cell.minus, metric)
            if difference is not None:
                found[cell.key(metric)] = difference
    adjusted = adjust_p_values([difference.p for difference in found.values()])
    if any(math.isnan(difference.p) for difference in found.values()):
        adjusted = [math.nan] * len(found)  # how many there are to correct for is known, their p-values are not
    return {key: (difference, p) for (key, difference), p in zip(found.items(), adjusted)}


def _text(cell: Cell, compared: Compared) -> str:
    """Write a cell; empty if there is no number."""
    if cell.show == 'text':
        return str(cell.entries.get(cell.entries.get('key', ''), ''))
    write = _with_baseline if cell.show in _COMPARING else _alone
    texts = [write(cell, metric, compared) for metric in cell.metrics]
    return ' / '.join(texts) if any(texts) else ''


def _with_baseline(cell: Cell, metric: str, compared: Compared) -> str:
    """Write a difference, or a mean with the interval of its difference."""
    sample, digits = cell.experiment.sample(cell.variant, metric), cell.digits
    mean = '' if sample is None else f'{sample.mean:.{digits}f}'
    if cell.key(metric) not in compared:  # the baseline itself, or no number
        return mean if cell.show == 'mean_interval' else ''
    difference, p_adjusted = compared[cell.key(metric)]
    text = mean if cell.show == 'mean_interval' else f'{difference.mean:+.{digits}f}'
    if cell.show != 'difference' and not math.isnan(difference.low):
        text += f' [{difference.low:+.{digits}f}, {difference.high:+.{digits}f}]'
    text += _count(difference.n, cell.experiment)
    excludes_zero = cell.experiment.excludes_zero(cell.variant, cell.minus, metric)
    return mark_difference(text, excludes_zero, p_adjusted, cell.experiment.level)


def _alone(cell: Cell, metric: str, compared: Compared) -> str:
    """Write a mean, or the values of seeds."""
    experiment, digits = cell.experiment, cell.digits
    if 'seed' in cell.entries or cell.show == 'values':
        values = experiment.values(cell.variant, metric)
        chosen = [cell.entries['seed']] if 'seed' in cell.entries else experiment.seeds
        return ', '.join(f'{values[seed]:.{digits}f}' for seed in chosen if seed in values)
    sample = experiment.sample(cell.variant, metric)
    if sample is None:
        return ''
    deviation = '' if cell.show == 'mean' or math.isnan(sample.std) else f' ± {sample.std:.{digits}f}'
    return f'{sample.mean:.{digits}f}{deviation}{_count(sample.n, experiment)}'


def _count(n: int, experiment: Experiment) -> str:
    """Say how many seeds a number has, if some are missing."""
    return '' if n == len(experiment.seeds) else f' ({n})'


def _caption(experiments: Sequence[Experiment], compared: Compared, has_dagger: bool, seed: Any) -> str:
    """Say which seeds, what the marks mean, and where the numbers are."""
    parts = list(dict.fromkeys(_seeds(experiment, seed) for experiment in experiments))
    num_seeds = {experiment.path: len(experiment.seeds) for experiment in experiments}
    if any(difference.n < num_seeds[key[0]] for key, (difference, _) in compared.items()):
        parts.append('in brackets: the number of seeds, where some are missing')
    if compared and all(difference.n < 2 for difference, _ in compared.values()):
        parts.append('one pair of trainings has no interval')
    elif compared:
        level = 100 * experiments[0].level
        parts.append(f'bold: the {level:g} % interval (paired t) excludes 0')
        count = f'{len(compared)} comparison{"s" if len(compared) > 1 else ""} of the table'
        if any(math.isnan(p) for _, p in compared.values()):
            parts.append(f'not corrected for the {count}, because the p-values were not kept')
        elif has_dagger:
            parts.append(f'†: also after the correction for the {count}')
        else:
            parts.append(f'none passes the correction for the {count}')
    if not all(experiment.is_raw for experiment in experiments):
        parts.append('the values of single seeds were not kept')
    files = ', '.join(f'`{experiment.path.name}`' for experiment in experiments)
    return f'<sub>{"; ".join(parts)}. Numbers: {files}.</sub>'


def _seeds(experiment: Experiment, seed: Any) -> str:
    """Name the seeds of an experiment."""
    count = len(experiment.seeds)
    if all(str(one).isdigit() for one in experiment.seeds):
        return f'{count} seed{"s" if count > 1 else ""} ({", ".join(map(str, experiment.seeds))})'
    plural = '' if count == 1 else 's'
    return (f'1 training of {count}' if seed is not None and count > 1 else f'{count} training{plural}') + (
        f', seed{plural} not recorded')
