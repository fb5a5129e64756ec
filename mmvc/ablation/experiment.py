# Copyright (c) The mmvc contributors. All rights reserved.
"""The numbers of an experiment in a file that is kept: its runs, or what a document says of them."""

import json
import math
from pathlib import Path
from typing import Any

from mmvc.formats.json_files import read_json
from mmvc.utils.atomic import atomic_write
from mmvc.utils.errors import DataError, UsageError
from mmvc.utils.typing import PathLike

from .statistics import Difference, Sample, describe, p_value_of_interval
from .summary import difference_of, summarize, values_by_seed, without_nan

_SEED = (int, str)
_NUMBER = (int, float)
_SCHEMA = {
    'title': str, 'baseline': str, 'seeds': [_SEED], 'level?': float, 'source?': str,
    'runs': [{'variant': str, 'seed': _SEED, 'values': dict}],
    'metrics?': [{'name': str, 'number': str, 'evaluation': str, 'minus?': str,
                  'higher_is_better': bool}],
    'means?': [{'variant': str, 'metric': str, 'mean': _NUMBER, 'std?': _NUMBER}],
    'differences?': [{'variant': str, 'minus?': str, 'metric': str, 'mean': _NUMBER, 'low?': _NUMBER, 'high?': _NUMBER,
                      'excludes_zero?': bool}],
}
#: what a stored file keeps of a plan's results; the cost of the trainings and the summary can be computed or are large
_KEPT = ('title', 'plan', 'baseline', 'seeds', 'level', 'metrics')


class Experiment:
    """The numbers of an experiment.

    The file has the form of a plan's ``results.json``: ``title``, ``baseline``, ``seeds``, ``level`` and ``runs``,
    each with ``variant``, ``seed`` and ``values``. If the values of the seeds were not kept, ``runs`` is empty, and
    ``means`` (``variant``, ``metric``, ``mean``, ``std``) and ``differences`` (``variant``, ``minus``, ``metric``,
    ``mean``, ``low``, ``high``, or only ``excludes_zero``) hold what a document says. ``source`` then names it.

    Args:
        path (str | Path): The file.

    Raises:
        DataError: The file is no such file. The message names the entry.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        content = read_json(self.path, _SCHEMA, "numbers of an experiment, in the form of an ablation's results.json")
        self.title: str = content['title']
        self.baseline: str = content['baseline']
        self.seeds: list[Any] = content['seeds']
        self.level: float = content.get('level') or 0.95
        self.metrics: list[dict[str, Any]] = content.get('metrics') or []
        self.runs: list[dict[str, Any]] = content['runs']
        self._values = values_by_seed(self.runs)
        self._means = {(entry['variant'], entry['metric']): entry for entry in content.get('means') or []}
        self._differences = {(entry['variant'], entry.get('minus') or self.baseline, entry['metric']): entry
                             for entry in content.get('differences') or []}
        if not self._values and not self._means and not self._differences:
            raise DataError(f'"{self.path}" has neither runs nor means nor differences: add the runs of a '
                            'results.json')

    @property
    def is_raw(self) -> bool:
        """Whether the values of all seeds are known."""
        return bool(self._values)

    def values(self, variant: str, metric: str) -> dict[Any, float]:
        """Return the values of a metric by seed; empty if none is known."""
        return self._values.get((variant, metric), {})

    def compared(self) -> list[tuple[str, str]]:
        """List the pairs of variant and metric that have a difference to the baseline."""
        pairs = [*self._values, *((variant, metric) for variant, _, metric in self._differences)]
        return [(variant, metric) for variant, metric in dict.fromkeys(pairs) if variant != self.baseline
                and self.difference(variant, self.baseline, metric) is not None]

    def sample(self, variant: str, metric: str) -> Sample | None:
        """Return mean and deviation of a metric; None if there is no number."""
        if values := self.values(variant, metric):
            return describe(list(values.values()))
        stated = self._means.get((variant, metric))
        if stated is None:
            return None
        std = stated.get('std')
        return Sample(stated['mean'], math.nan if std is None else std, len(self.seeds))

    def difference(self, variant: str, minus: str, metric: str) -> Difference | None:
        """Return a paired difference; None if there is no number.

        A stated difference without an interval has NaN for its ends. Its p-value is NaN, too, see
        :meth:`excludes_zero`.
        """
        if self.values(variant, metric) and self.values(minus, metric):
            return difference_of(self._values, variant, minus, metric, self.level)
        stated = self._differences.get((variant, minus, metric))
        if stated is None:
            return None
        n, low, high = len(self.seeds), stated.get('low'), stated.get('high')
        if low is None or high is None:
            return Difference(stated['mean'], math.nan, math.nan, math.nan, n)
        return Difference(stated['mean'], low, high, p_value_of_interval(stated['mean'], low, high, n, self.level), n)

    def excludes_zero(self, variant: str, minus: str, metric: str) -> bool:
        """Whether the interval of a difference does not contain 0, before its ends were rounded."""
        stated = self._differences.get((variant, minus, metric), {})
        if stated.get('excludes_zero') is not None:
            return stated['excludes_zero']
        difference = self.difference(variant, minus, metric)
        return difference is not None and (difference.low > 0 or difference.high < 0)


def to_results(experiment: Experiment) -> dict[str, Any]:
    """Bring kept numbers into the form of a plan's results, to plot them.

    Args:
        experiment (Experiment): The numbers. Its file must have ``metrics``.

    Returns:
        dict: As :func:`gather`, without ``plan`` and ``trainings``. Metrics without a difference to the baseline are
        left out.

    Raises:
        UsageError: The file has no ``metrics``.
    """
    if not experiment.metrics:
        raise UsageError(f'"{experiment.path}" has no metrics: copy those of the results.json, to have a picture')
    compared = experiment.compared()
    variants = list(dict.fromkeys([experiment.baseline, *(variant for variant, _ in compared)]))
    metrics = [metric for metric in experiment.metrics if metric['name'] in {name for _, name in compared}]
    names = [metric['name'] for metric in metrics]
    if experiment.is_raw:
        summary = summarize(experiment.runs, variants, names, experiment.baseline, experiment.level)
    else:
        summary = {variant: {name: _entry(experiment, variant, name) for name in names} for variant in variants}
    return dict(title=experiment.title, baseline=experiment.baseline, seeds=experiment.seeds, level=experiment.level,
                metrics=metrics, runs=experiment.runs, summary=summary)


def _entry(experiment: Experiment, variant: str, metric: str) -> dict[str, Any]:
    """Return what a document says of a metric, in the form of :func:`summarize`."""
    sample = experiment.sample(variant, metric) or Sample(math.nan, math.nan, 0)
    nothing = Difference(math.nan, math.nan, math.nan, math.nan, 0)
    difference = experiment.difference(variant, experiment.baseline, metric) or nothing
    return without_nan(dict(
        sample._asdict(),
        difference=None if variant == experiment.baseline else without_nan(difference._asdict())))


def store_results(results_path: PathLike, folder: PathLike) -> Path:
    """Keep the runs of a plan's ``results.json``.

    Seeds that an existing file has in addition are kept. Runs replace what a document says of them.

    Args:
        results_path (str | Path): The ``results.json``.
        folder (str | Path): Folder of the kept files. The file is named like the plan.

    Returns:
        Path: The written file.

    Raises:
        DataError: A file is damaged.
        UsageError: The existing file belongs to another plan, or no run is finished.
    """
    results = read_json(results_path, {**_SCHEMA, 'plan': str, 'metrics': [dict]}, "an ablation's results.json")
    path = Path(folder, f'{Path(results["plan"]).stem}.json')
    runs = {(run['variant'], run['seed']): run for run in results['runs'] if run['values']}
    if not runs:
        raise UsageError(f'"{results_path}" has no finished run: run the plan first')
    if path.exists():
        before = read_json(path, _SCHEMA, "an ablation's results.json")
        for key in ('plan', 'baseline') if before['runs'] else ():
            if before.get(key) != results[key]:
                raise UsageError(f'"{path}" has another {key} than "{results_path}": remove it, or give the plan a '
                                 'new name')
        runs = {**{(run['variant'], run['seed']): run for run in before['runs']}, **runs}
    seeds = sorted({seed for _, seed in runs})
    order = {name: i for i, name in enumerate(dict.fromkeys(variant for variant, _ in runs))}
    head = {key: results.get(key) for key in _KEPT} | dict(seeds=seeds)
    kept = [dict(variant=run['variant'], seed=run['seed'], trainings=run.get('trainings') or {}, values={
        name: round(value, 4) for name, value in run['values'].items()})
        for run in sorted(runs.values(), key=lambda run: (order[run['variant']], run['seed']))]
    atomic_write(path, to_text(head, runs=kept).encode())
    return path


def to_text(head: dict[str, Any], **lists: list[dict[str, Any]]) -> str:
    """Write an experiment as JSON with one entry per line, so that a change of one run is a change of one line."""
    parts = [f'  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}' for key, value in head.items()]
    for name, entries in lists.items():
        lines = ',\n'.join(f'    {json.dumps(entry, ensure_ascii=False)}' for entry in entries)
        parts.append(f'  {json.dumps(name)}: [\n{lines}\n  ]' if entries else f'  {json.dumps(name)}: []')
    return '{\n' + ',\n'.join(parts) + '\n}\n'
