# Copyright (c) The mmvc contributors. All rights reserved.
"""Statistics over a few seeds: mean, standard deviation, paired difference, correction for many comparisons."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Sample(NamedTuple):
    """One number over the seeds.

    Attributes:
        mean (float): Mean; NaN if there is no value.
        std (float): Standard deviation (n - 1 in the denominator); NaN for fewer than two seeds.
        n (int): Number of seeds.
    """
    mean: float
    std: float
    n: int


class Difference(NamedTuple):
    """Variant minus baseline over their common seeds.

    Attributes:
        mean (float): Mean difference; NaN if there is no common seed.
        low (float): Lower end of the confidence interval of the mean; NaN for fewer than two seeds.
        high (float): Upper end of the confidence interval; NaN for fewer than two seeds.
        p (float): Two-sided p-value of the paired t-test; NaN for fewer than two seeds.
        n (int): Number of common seeds.
    """
    mean: float
    low: float
    high: float
    p: float
    n: int


def describe(values: Sequence[float]) -> Sample:
    """Compute mean and standard deviation over the seeds.

    Args:
        values (Sequence[float]): One value per seed.

    Returns:
        Sample: Mean, standard deviation and number of seeds.
    """
    n = len(values)
    return Sample(
        float(np.mean(values)) if n else math.nan,
        float(np.std(values, ddof=1)) if n > 1 else math.nan,
        n)


def paired_difference(values: Sequence[float], baseline: Sequence[float], level: float = 0.95) -> Difference:
    """Compare a variant with the baseline seed by seed, with a paired t-test.

    What the runs of a seed have in common (data order, initial weights, a shared earlier stage) cancels out. The
    interval is not corrected for the number of comparisons in a table, see :func:`adjust_p_values`.

    Args:
        values (Sequence[float]): Values of the variant, one per seed.
        baseline (Sequence[float]): Values of the baseline for the same seeds in the same order.
        level (float): Confidence level in (0, 1). Defaults to 0.95.

    Returns:
        Difference: Mean difference with its confidence interval and p-value.

    Raises:
        ValueError: The lengths differ.
    """
    if len(values) != len(baseline):
        raise ValueError(f'a paired comparison needs the same seeds on both sides, got {len(values)} and '
                         f'{len(baseline)} values')
    mean, std, n = describe(np.subtract(values, baseline).tolist())
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    if std == 0:  # scipy divides by it
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, n)
    test = stats.ttest_rel(values, baseline)
    low, high = test.confidence_interval(level)
    return Difference(mean, float(low), float(high), float(test.pvalue), n)


def p_value_of_interval(mean: float, low: float, high: float, n: int, level: float = 0.95) -> float:
    """Compute the p-value of a paired t-test from its confidence interval.

    Args:
        mean (float): Mean difference.
        low (float): Lower end of the interval.
        high (float): Upper end of the interval.
        n (int): Number of pairs, at least 2.
        level (float): Confidence level in (0, 1). Defaults to 0.95.

    Returns:
        float: Two-sided p-value. It is as exact as the rounded numbers are. If the interval has no width, it is 1 for
        a mean of 0, otherwise 0.
    """
    error = (high - low) / 2 / float(stats.t.ppf((1 + level) / 2, n - 1))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stats.t.sf(abs(mean) / error, n - 1))


def adjust_p_values(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for the number of comparisons, after Benjamini and Yekutieli (:mod:`scipy.stats`).

    If all differences with an adjusted value of at most q are called real, the expected share of false ones among them
    is at most q. This holds for comparisons that depend on one another, such as several numbers of the same runs.

    Args:
        p_values (Sequence[float]): P-values of all comparisons that were made. NaN: the comparison was not possible.

    Returns:
        list[float]: Adjusted p-values in the same order; NaN stays NaN and does not count.
    """
    known = [p for p in p_values if not math.isnan(p)]
    adjusted = iter(stats.false_discovery_control(known, method='by').tolist() if known else [])
    return [math.nan if math.isnan(p) else next(adjusted) for p in p_values]
