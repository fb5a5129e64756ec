# Copyright (c) The mmvc contributors. All rights reserved.
"""What a few seeds say: mean, spread, and the paired difference to a baseline."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Sample(NamedTuple):
    """One number over the seeds.

    Attributes:
        mean (float): NaN if there is no value.
        std (float): Standard deviation of the seeds (n - 1 in the denominator); NaN for fewer than two.
        n (int): Number of seeds.
    """
    mean: float
    std: float
    n: int


class Difference(NamedTuple):
    """Variant minus baseline over the seeds that both have.

    Attributes:
        mean (float): NaN if there is no common seed.
        low (float): Lower end of the confidence interval of the mean; NaN for fewer than two seeds.
        high (float): Upper end of it.
        p (float): Two-sided p-value of the paired t test of no difference; NaN for fewer than two seeds.
        n (int): Number of seeds.
    """
    mean: float
    low: float
    high: float
    p: float
    n: int


def describe(values: Sequence[float]) -> Sample:
    """Sum up the values of the seeds."""
    n = len(values)
    return Sample(
        float(np.mean(values)) if n else math.nan,
        float(np.std(values, ddof=1)) if n > 1 else math.nan,
        n)


def paired_difference(values: Sequence[float], baseline: Sequence[float], level: float = 0.95) -> Difference:
    """Compare a variant with the baseline seed by seed.

    The interval is mean +- t * s / sqrt(n) with the quantile t of Student's distribution with n - 1 degrees of freedom
    and the standard deviation s of the n differences. What the seeds have in common (data order, initial weights, a
    shared earlier stage) cancels. It is not corrected for the number of comparisons in a table.

    Args:
        values (Sequence[float]): Of the variant, one per seed.
        baseline (Sequence[float]): Of the baseline, the same seeds in the same order.
        level (float): Confidence in (0, 1). Defaults to 0.95.

    Returns:
        Difference: The comparison.

    Raises:
        ValueError: If the lengths differ.
    """
    if len(values) != len(baseline):
        raise ValueError(f'a paired comparison needs the same seeds on both sides, got {len(values)} and '
                         f'{len(baseline)} values')
    differences = np.subtract(values, baseline)
    mean, std, n = describe(differences.tolist())
    if n < 2:
        return Difference(mean, math.nan, math.nan, math.nan, n)
    if std == 0:
        return Difference(mean, mean, mean, 1.0 if mean == 0 else 0.0, n)
    error = std / math.sqrt(n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return Difference(mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, n - 1)), n)
