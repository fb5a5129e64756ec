# Copyright (c) The mmvc contributors. All rights reserved.
"""A picture of how a training went, from the numbers that it logged."""

import json
import logging
from pathlib import Path

from mmengine.logging import print_log

from mmvc.utils.atomic import atomic_path

CURVES = 'curves.png'
_MAX_METRICS = 8


def write_curves(work_dir: str | Path) -> None:
    """Draw loss, learning rate and validation metrics of a training into ``curves.png`` of its work dir.

    The numbers of all runs in the work dir are joined; where two have the same step, as after a resume, the later one
    counts. Nothing is drawn for less than two logged losses. A picture that cannot be made is only a warning.

    Args:
        work_dir (str | Path): Folder of a stage, with ``<time>/vis_data/scalars.json``.
    """
    try:
        train, metrics = read_numbers(work_dir)
        if len(train) >= 2:
            _draw(train, metrics, Path(work_dir, CURVES))
    except Exception as error:  # the training is more important than its picture
        print_log(f'"{Path(work_dir, CURVES)}" cannot be drawn: {type(error).__name__}: {error}', logger='current',
                  level=logging.WARNING)


def read_numbers(work_dir: str | Path) -> tuple[dict[int, dict[str, float]], dict[str, dict[int, float]]]:
    """Read what a training logged.

    Args:
        work_dir (str | Path): Folder of a stage.

    Returns:
        tuple: Numbers of the training steps by step (``loss``, ``lr``, ...), and numbers of the validations by name
        and step. Lines that are cut off, as by a kill, are left out.
    """
    train: dict[int, dict[str, float]] = {}
    metrics: dict[str, dict[int, float]] = {}
    for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
                step = int(entry['step'])
            except (ValueError, KeyError, TypeError):
                continue
            if 'loss' in entry:
                train[step] = entry
            for name in entry:
                if '/' in name and isinstance(entry[name], (int, float)):
                    metrics.setdefault(name, {})[step] = entry[name]
    return dict(sorted(train.items())), metrics


def _draw(train: dict[int, dict[str, float]], metrics: dict[str, dict[int, float]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure
    figure = Figure(figsize=(5 + 5 * bool(metrics), 3.5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + bool(metrics), squeeze=False)[0]
    losses = [entry['loss'] for entry in train.values()]
    axes[0].plot(list(train), losses, color='tab:blue')
    axes[0].set(xlabel='step', title='loss (blue), learning rate (grey)')
    if min(losses) > 0 and max(losses) > 10 * min(losses):
        axes[0].set_yscale('log')
    rates = {step: entry['lr'] for step, entry in train.items() if 'lr' in entry}
    right = axes[0].twinx()
    right.plot(list(rates), list(rates.values()), color='tab:gray', linewidth=0.8)
    right.ticklabel_format(axis='y', scilimits=(0, 0))
    for axis in axes[1:]:
        for name, values in list(metrics.items())[:_MAX_METRICS]:
            axis.plot(list(values), list(values.values()), 'o-', markersize=4, label=name)
        axis.set(xlabel='step', title='validation')
        axis.legend(fontsize=8)
    for axis in axes:
        axis.grid(alpha=0.3)
    with atomic_path(str(path), keep_suffix=True) as draft:
        figure.savefig(draft, dpi=120)
