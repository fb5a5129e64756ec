# Copyright (c) The mmvc contributors. All rights reserved.
import math

import pytest
from scipy import stats

from mmvc.ablation import describe, paired_difference
from mmvc.ablation.statistics import adjust_p_values, p_value_of_interval
from mmvc.ablation.summary import summarize


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


def test_p_value_of_an_interval():
    difference = paired_difference([11, 22, 33], [10, 20, 30], 0.9)
    assert p_value_of_interval(difference.mean, difference.low, difference.high, 3, 0.9) == pytest.approx(difference.p)
    assert p_value_of_interval(0, 0, 0, 2) == 1 and p_value_of_interval(1, 1, 1, 2) == 0


def test_correction_by_hand():
    # Benjamini-Yekutieli: p(k) * m / k * (1 + 1/2 + 1/3), made monotone from the largest; NaN does not count
    adjusted = adjust_p_values([0.04, math.nan, 0.001, 0.03])
    factor = 3 * (1 + 1 / 2 + 1 / 3)
    assert [adjusted[i] for i in (2, 3, 0)] == pytest.approx([0.001 * factor, 0.04 * factor / 3, 0.04 * factor / 3])
    assert math.isnan(adjusted[1]) and adjust_p_values([]) == []


def test_a_summary_corrects_for_all_of_its_differences():
    values = dict(base=[1.0, 2.0, 3.0], a=[2.0, 3.1, 4.0], b=[1.1, 1.9, 3.3])
    runs = [dict(variant=name, seed=seed, values=dict(x=value, y=-value)) for name, column in values.items()
            for seed, value in enumerate(column)]
    summary = summarize(runs, list(values), ['x', 'y'], 'base')
    p_values = [stats.ttest_rel(values[name], values['base']).pvalue for name in ('a', 'a', 'b', 'b')]
    expected = stats.false_discovery_control(p_values, method='by')
    found = [summary[name][metric]['difference']['p_adjusted'] for name in ('a', 'b') for metric in ('x', 'y')]
    assert found == pytest.approx(list(expected))
    assert summary['base']['x'] == dict(mean=2, std=1, n=3, difference=None)
    assert summarize(runs[:1], ['base', 'a'], ['x'], 'base')['a']['x']['difference']['p_adjusted'] is None
