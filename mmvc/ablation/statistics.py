# Copyright (c) The mmvc contributors. All rights reserved.
"""Statistics over a few seeds: mean, standard deviation, and the paired difference to a baseline."""

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
    interval is not corrected for the number of comparisons in a table.

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
