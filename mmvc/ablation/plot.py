# Copyright (c) The mmvc contributors. All rights reserved.
"""Plot the results of an ablation."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmvc.utils.atomic import atomic_path


def plot_results(results: dict[str, Any], path: str) -> None:
    """Plot for each metric the values of all seeds, and the differences to the baseline with confidence intervals.

    Args:
        results (dict): Result of :func:`gather`.
        path (str): Picture file to write (``.png``, ``.svg``, ``.pdf``).
    """
    variants, metrics = list(results['summary']), results['metrics']
    figure = Figure(figsize=(10, 0.9 + len(metrics) * (0.9 + 0.3 * len(variants))), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(metrics), 2, squeeze=False)
    for (values, differences), metric in zip(axes, metrics):
        better = 'higher' if metric['higher_is_better'] else 'lower'
        values.set_title(f'{metric["name"]} ({better} is better)', fontsize=10)
        _draw_values(values, results, variants, metric['name'])
        differences.set_title(f'minus {results["baseline"]}, {100 * results["level"]:g} % interval', fontsize=10)
        _draw_differences(differences, results, variants, metric)
        for axis in (values, differences):
            axis.set_ylim(len(variants) - 0.5, -0.5)  # the first variant on top
            axis.grid(axis='x', alpha=0.3)
        values.set_yticks(range(len(variants)), variants)
        differences.set_yticks(range(len(variants)), [])
    figure.suptitle(results['title'])
    with atomic_path(path, keep_suffix=True) as draft:
        figure.savefig(draft, dpi=120)


def _draw_values(axis: Axes, results: dict[str, Any], variants: list[str], metric: str) -> None:
    """Draw one dot per seed and a line at the mean."""
    for row, variant in enumerate(variants):
        values = [run['values'][metric] for run in results['runs']
                  if run['variant'] == variant and metric in run['values']]
        axis.plot(values, [row] * len(values), 'o', color='tab:blue', alpha=0.6, markersize=5)
        if values:
            axis.plot([results['summary'][variant][metric]['mean']] * 2, [row - 0.3, row + 0.3], color='black')


def _draw_differences(axis: Axes, results: dict[str, Any], variants: list[str], metric: dict[str, Any]) -> None:
    """Draw means with intervals: green if the interval is on the better side of 0, red if on the worse, else grey."""
    axis.axvline(0, color='black', linewidth=0.8)
    for row, variant in enumerate(variants):
        entry = results['summary'][variant][metric['name']]['difference']
        if entry is None or entry['mean'] is None:
            continue
        colour = 'tab:gray'
        if entry['low'] is not None:
            if not entry['low'] <= 0 <= entry['high']:
                colour = 'tab:green' if (entry['mean'] > 0) == metric['higher_is_better'] else 'tab:red'
            axis.plot([entry['low'], entry['high']], [row, row], color=colour, linewidth=2)
        axis.plot(entry['mean'], row, 'o', color=colour)
