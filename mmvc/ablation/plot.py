# Copyright (c) The mmvc contributors. All rights reserved.
"""Plot the results of an ablation: whole frames, corrupted frames, consistency."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mmvc.utils.atomic import atomic_path

from .summary import values_by_seed

#: colours of Okabe and Ito, which colour-blind readers can tell apart
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
_MARKERS = 'osD^vP*'
_PANELS = ('whole frames', 'corrupted frames', 'consistency', 'other numbers')
_QUALITY = ('mIoU', 'mAcc', 'aAcc', 'fwIoU', 'video_mIoU', 'VPQ', 'STQ', 'SQ', 'AP', 'AR', 'AP50', 'mIoU_occluded',
            'mAcc_context', 'mAcc_motion')


def plot_results(results: dict[str, Any], path: str) -> None:
    """Plot the paired differences to the baseline with their intervals, and the difference of each seed.

    A panel of the picture has the metrics of one kind: on whole frames, on corrupted frames, consistency over time,
    and, if there are any, all others. Metrics with ``minus`` are left out: their two parts are in the picture. The
    mean of the baseline stands below the name of a metric.

    Args:
        results (dict): Result of :func:`gather`.
        path (str): Picture file to write (``.png``, ``.svg``, ``.pdf``).
    """
    panels = _sort(results['metrics'])
    variants = [variant for variant in results['summary'] if variant != results['baseline']]
    rows = max(len(metrics) for metrics in panels.values())
    height = 1.9 + rows * (0.3 + 0.15 * len(variants))
    figure = Figure(figsize=(max(10, 5 * len(panels)), height), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, metrics) in zip(axes, panels.items()):
        axis.set_title(title, fontsize=14, fontweight='bold')
        axis.set_xlabel(f'difference to {results["baseline"]} (points)', fontsize=12)
        axis.axvline(0, color='black', linewidth=1)
        for row, metric in enumerate(metrics):
            if row > 0:
                axis.axhline(row - 0.5, color='0.85', linewidth=0.8)
            _draw_differences(axis, results, variants, metric['name'], row)
        axis.set_yticks(range(len(metrics)), [_label(metric, results) for metric in metrics], fontsize=11)
        axis.set_ylim(rows - 0.5, -0.5)  # the first metric on top; the same scale in all panels
        axis.tick_params(axis='x', labelsize=11)
        axis.grid(axis='x', alpha=0.3)
    if variants:
        marks = [Line2D([], [], color=_COLOURS[i % len(_COLOURS)], marker=_MARKERS[i % len(_MARKERS)], markersize=9,
                        label=variant) for i, variant in enumerate(variants)]
        figure.legend(handles=marks, loc='outside lower center', ncols=len(marks), fontsize=12, frameon=False)
    seeds = ', '.join(map(str, results['seeds']))
    figure.suptitle(f'{results["title"]}\n'
                    f'mean over the seeds ({seeds}) with {100 * results["level"]:g} % interval, filled if it excludes '
                    '0' + ('; small: one seed' if results['runs'] else ''), fontsize=12)
    with atomic_path(path, keep_suffix=True) as draft:
        figure.savefig(draft, dpi=100)


def _sort(metrics: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sort metrics into the panels; panels without a metric are left out."""
    panels: dict[str, list[dict[str, Any]]] = {title: [] for title in _PANELS}
    kept = [metric for metric in metrics if not metric['minus']] or metrics
    for metric in kept:
        number = metric['number'].rpartition('/')[2]
        if number.startswith('VC'):
            title = 'consistency'
        elif number not in _QUALITY:
            title = 'other numbers'
        else:
            title = 'whole frames' if metric['evaluation'] == 'clean' else 'corrupted frames'
        panels[title].append(metric)
    return {title: entries for title, entries in panels.items() if entries}


def _label(metric: dict[str, Any], results: dict[str, Any]) -> str:
    """Name a metric, with the mean of the baseline."""
    mean = results['summary'][results['baseline']][metric['name']]['mean']
    notes = [] if mean is None else [f'{results["baseline"]} {mean:.1f}']
    notes += [] if metric['higher_is_better'] else ['lower is better']
    return metric['name'] + (f'\n({", ".join(notes)})' if notes else '')


def _draw_differences(axis: Axes, results: dict[str, Any], variants: list[str], metric: str, row: int) -> None:
    """Draw means with intervals and the single seeds, one line per variant."""
    values = values_by_seed(results['runs'])
    theirs = values.get((results['baseline'], metric), {})
    step = 0.7 / max(len(variants), 1)
    for i, variant in enumerate(variants):
        y = row + step * (i - (len(variants) - 1) / 2)
        colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
        ours = values.get((variant, metric), {})
        seeds = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
        axis.plot(seeds, [y] * len(seeds), marker, color=colour, markersize=4, alpha=0.45)
        entry = results['summary'][variant][metric]['difference']
        if entry['mean'] is None:
            continue
        filled = False
        if entry['low'] is not None:
            filled = not entry['low'] <= 0 <= entry['high']
            axis.plot([entry['low'], entry['high']], [y, y], color=colour, linewidth=2)
        axis.plot(entry['mean'], y, marker, color=colour, markersize=9, markerfacecolor=colour if filled else 'white')
