# Copyright (c) The mmvc contributors. All rights reserved.
"""Means over the seeds, and differences to the baseline, of all variants and metrics."""

import math
from collections.abc import Sequence
from typing import Any

from .statistics import Difference, adjust_p_values, describe, paired_difference


def summarize(runs: Sequence[dict[str, Any]], variants: Sequence[str], metrics: Sequence[str], baseline: str,
              level: float = 0.95) -> dict[str, dict[str, dict[str, Any]]]:
    """Describe every metric of every variant, and compare it with the baseline.

    Args:
        runs (Sequence[dict]): ``variant``, ``seed`` and ``values`` (metric -> value) of each run.
        variants (Sequence[str]): Names of the variants.
        metrics (Sequence[str]): Names of the metrics.
        baseline (str): Name of the variant to compare with.
        level (float): Confidence level of the intervals. Defaults to 0.95.

    Returns:
        dict: Variant -> metric -> ``mean``, ``std``, ``n`` and ``difference``. A difference has ``mean``, ``low``,
        ``high``, ``p``, ``n`` (:class:`Difference`) and ``p_adjusted``, the p-value corrected for all differences of
        the result. It is None for the baseline itself. Undefined numbers are None.
    """
    values = values_by_seed(runs)
    summary: dict[str, dict[str, dict[str, Any]]] = {
        variant: {metric: dict(describe(list(values.get((variant, metric), {}).values()))._asdict(), difference=None)
                  for metric in metrics} for variant in variants}
    compared = [(variant, metric) for variant in variants if variant != baseline for metric in metrics]
    differences = [difference_of(values, variant, baseline, metric, level) for variant, metric in compared]
    adjusted = adjust_p_values([difference.p for difference in differences])
    for (variant, metric), difference, p_adjusted in zip(compared, differences, adjusted):
        summary[variant][metric]['difference'] = without_nan(dict(difference._asdict(), p_adjusted=p_adjusted))
    return {variant: {metric: without_nan(entry) for metric, entry in entries.items()}
            for variant, entries in summary.items()}


def values_by_seed(runs: Sequence[dict[str, Any]]) -> dict[tuple[str, str], dict[Any, float]]:
    """Sort the values of runs: (variant, metric) -> seed -> value."""
    values: dict[tuple[str, str], dict[Any, float]] = {}
    for run in runs:
        for metric, value in run['values'].items():
            values.setdefault((run['variant'], metric), {})[run['seed']] = value
    return values


def difference_of(values: dict[tuple[str, str], dict[Any, float]], variant: str, baseline: str, metric: str,
                  level: float = 0.95) -> Difference:
    """Compare two variants over their common seeds.

    Args:
        values (dict): Result of :func:`values_by_seed`.
        variant (str): Name of a variant.
        baseline (str): Name of the variant that is subtracted.
        metric (str): Name of the metric.
        level (float): Confidence level of the interval. Defaults to 0.95.

    Returns:
        Difference: The paired difference.
    """
    ours, theirs = values.get((variant, metric), {}), values.get((baseline, metric), {})
    common = [seed for seed in ours if seed in theirs]
    return paired_difference([ours[seed] for seed in common], [theirs[seed] for seed in common], level)


def without_nan(entry: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN, which JSON does not have, by None."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in entry.items()}
