# Copyright (c) The mmvc contributors. All rights reserved.
"""Format the results of an ablation as Markdown."""

from typing import Any


def to_markdown(results: dict[str, Any]) -> str:
    """Format the tables of an ablation.

    Args:
        results (dict): Result of :func:`gather`.

    Returns:
        str: Markdown with means and standard deviations, paired differences with intervals, and the list of trainings.
    """
    names = [metric['name'] for metric in results['metrics']]
    arrows = [f'{metric["name"]} {"↑" if metric["higher_is_better"] else "↓"}' for metric in results['metrics']]
    seeds = ', '.join(map(str, results['seeds']))
    level = f'{100 * results["level"]:g} %'
    lines = [f'# {results["title"]}', '', f'Plan `{results["plan"]}`, seeds {seeds}. Mean ± standard deviation over '
             'the seeds. A number in brackets is the number of seeds, if some are missing.', '']
    summary = results['summary']
    lines += _table(['variant', *arrows], [
        [name, *(_mean(summary[name][metric], len(results['seeds'])) for metric in names)] for name in summary])
    lines += ['', f'Difference to `{results["baseline"]}`, seed by seed: mean and {level} confidence interval (paired '
              't-test). **Bold**: the interval does not contain 0. †: also with the correction for the number of '
              'differences in this table (Benjamini-Yekutieli, false discovery rate '
              f'{100 - 100 * results["level"]:g} %).', '']
    lines += _table(['variant', *arrows], [
        [name, *(_difference(summary[name][metric]['difference'], results['level']) for metric in names)]
        for name in summary if name != results['baseline']])
    lines += ['', '## Trainings', '', 'Variants that are equal up to a stage share its training.', '']
    lines += _table(['training', 'starts from', 'used by', 'CPU minutes', ''], [
        [f'`{key}`', f'`{entry["starts_from"]}`' if entry['starts_from'] else '', ', '.join(entry['used_by']),
         f'{entry["cost"]["cpu_seconds"] / 60:.1f}' if entry['cost'] else '', '' if entry['done'] else 'not done']
        for key, entry in results['trainings'].items()])
    return '\n'.join(lines) + '\n'


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    alignment = ['---'] + ['---:'] * (len(head) - 1) if 'training' not in head else ['---'] * len(head)
    return [f'| {" | ".join(row)} |' for row in [head, alignment, *rows]]


def _mean(entry: dict[str, Any], num_seeds: int) -> str:
    if entry['mean'] is None:
        return '-'
    text = f'{entry["mean"]:.2f}' + ('' if entry['std'] is None else f' ± {entry["std"]:.2f}')
    return text if entry['n'] == num_seeds else f'{text} ({entry["n"]})'


def _difference(entry: dict[str, Any], level: float) -> str:
    if entry is None or entry['mean'] is None:
        return '-'
    if entry['low'] is None:
        return f'{entry["mean"]:+.2f}'
    text = f'{entry["mean"]:+.2f} [{entry["low"]:+.2f}, {entry["high"]:+.2f}]'
    return mark_difference(text, not entry['low'] <= 0 <= entry['high'], entry.get('p_adjusted'), level)


def mark_difference(text: str, excludes_zero: bool, p_adjusted: float | None, level: float) -> str:
    """Make a difference bold if its interval does not contain 0; add † if this survives the correction.

    Args:
        text (str): The difference as text.
        excludes_zero (bool): Whether its interval does not contain 0.
        p_adjusted (float, optional): Its p-value, corrected for the number of comparisons. None or NaN: not known.
        level (float): Confidence level of the intervals.

    Returns:
        str: Markdown.
    """
    if not excludes_zero:
        return text
    return f'**{text}**' + ('†' if p_adjusted is not None and p_adjusted <= 1 - level else '')
