# Copyright (c) The mmvc contributors. All rights reserved.
import math

import pytest
from scipy import stats

from mmvc.ablation import describe, paired_difference


def test_mean_and_deviation():
    assert describe([1.0, 2.0, 6.0]) == (3.0, pytest.approx(math.sqrt(7)), 3)
    mean, std, n = describe([4.0])
    assert mean == 4 and math.isnan(std) and n == 1
    assert math.isnan(describe([])[0])


def test_paired_difference_by_hand():
    # differences 1, 2, 3: mean 2, standard error 1 / sqrt(3); t(2 degrees of freedom, 97.5 %) = 4.302653
    difference = paired_difference([11, 22, 33], [10, 20, 30])
    half = 4.302653 / math.sqrt(3)
    assert difference.mean == pytest.approx(2) and difference.n == 3
    assert (difference.low, difference.high) == (pytest.approx(2 - half, abs=1e-5), pytest.approx(2 + half, abs=1e-5))
    assert difference.p == pytest.approx(0.0741799, abs=1e-6)  # 2 P(T > 3.464102)


def test_agrees_with_the_formula():
    a, b = [3.1, 2.0, 4.7, 5.5, 3.3], [2.9, 2.4, 4.1, 4.0, 3.2]
    mean, std, n = describe([x - y for x, y in zip(a, b)])
    error = std / math.sqrt(n)
    half = stats.t.ppf(0.95, n - 1) * error
    ours = paired_difference(a, b, 0.9)
    assert (ours.low, ours.high, ours.p) == pytest.approx(
        (mean - half, mean + half, 2 * stats.t.sf(mean / error, n - 1)))


def test_too_few_and_equal_seeds():
    single = paired_difference([2.0], [1.0])
    assert single.mean == 1 and math.isnan(single.low) and math.isnan(single.p)
    assert math.isnan(paired_difference([], []).mean)
    assert paired_difference([2, 3], [2, 3]) == (0, 0, 0, 1, 2)
    assert paired_difference([3, 4], [2, 3]) == (1, 1, 1, 0, 2)
    with pytest.raises(ValueError, match='same seeds'):
        paired_difference([1, 2], [1])
