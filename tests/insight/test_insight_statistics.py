"""Statistics and verdicts against what is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hotloop.insight.interval import Interval
from hotloop.insight.statistics import (
    Estimate,
    bends,
    bootstrap,
    bootstrap_parts,
    deviation,
    drift,
    holm,
    settled_quantile,
    steady_from,
    trimmed_mean,
)
from hotloop.insight.verdict import Finding, Verdict, adjust, judge, judge_bends


def test_trimmed_mean_is_scipys():
    values = np.random.default_rng(0).normal(size=(23, 4))
    np.testing.assert_allclose(trimmed_mean(values), stats.trim_mean(values, 0.2, axis=0))


@pytest.mark.parametrize("n", [6, 10, 30, 100])
def test_bootstrap_intervals_hold_the_truth(n):
    random = np.random.default_rng(n)
    covered = sum(bootstrap(random.normal(3, 1, n), seed).interval().contains(3) for seed in range(200))
    # 95 % of 200; below 179 would be seen once in 3,000 times.
    assert covered >= 179


def test_bootstrap_intervals_are_no_wider_than_they_need_be():
    widths = [bootstrap(np.random.default_rng(s).normal(size=20)).interval().half_width for s in range(50)]
    student = stats.t.ppf(0.975, 19) / math.sqrt(20)
    assert student < np.median(widths) < 1.35 * student


@pytest.mark.parametrize("freedom", [4, 9, 29, 200])
def test_few_blocks_make_intervals_wider(freedom):
    n = freedom + 1
    expected = stats.norm.cdf(math.sqrt(n / freedom) * stats.t.ppf(0.025, freedom))
    assert settled_quantile(0.025, n) == pytest.approx(expected, rel=0.06)


def test_a_series_is_steady_after_its_change():
    random = np.random.default_rng(1)
    series = np.concatenate([random.normal(2, 0.1, 12), random.normal(1, 0.1, 50)])
    assert abs(steady_from(series) - 12) <= 1
    assert steady_from(random.normal(1, 0.1, 60)) == 0
    assert steady_from(np.ones(3)) == 0


def test_two_phases_of_warming_up_are_both_left_out():
    random = np.random.default_rng(2)
    series = np.concatenate([random.normal(level, 0.05, n) for level, n in ((4, 10), (2, 10), (1, 60))])
    assert abs(steady_from(series) - 20) <= 1


def test_drift_is_theil_and_sens_slope():
    x = np.arange(30.0)
    y = 0.5 * x + np.random.default_rng(0).standard_t(2, 30)
    assert drift(x, y) == pytest.approx(stats.theilslopes(y, x).slope)
    assert drift(np.zeros(3), np.ones(3)) == 0


def test_lines_are_called_bent_no_more_often_than_chance_allows():
    lever = np.array([0, 1, 2, 4, 8, 16.0])
    random = np.random.default_rng(0)
    p = [bends(lever, 2 * lever + random.normal(0, 0.3, (12, 6)), seed).p for seed in range(80)]
    # Of 80 at 5 %, more than 10 would be seen once in 300 times.
    assert sum(value < 0.05 for value in p) <= 10
    bounds = [bends(lever, 2 * lever + random.normal(0, 0.3, (12, 6)), seed) for seed in range(60)]
    held = [all(deviation.contains(0) for deviation in found.deviations) for found in bounds]
    assert sum(held) >= 50


def test_holm_is_what_his_table_says():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_bends_are_judged_by_what_counts():
    lever = np.array([0, 1, 2, 4, 8, 16.0])
    random = np.random.default_rng(0)
    straight = bends(lever, 2 * lever + random.normal(0, 0.3, (20, 6)))
    bent = bends(lever, 2 * lever + 3 * (lever == 4) + random.normal(0, 0.3, (20, 6)))
    assert judge_bends(straight, 1.0).verdict is Verdict.EQUIVALENT
    assert judge_bends(straight, 0.05).verdict is Verdict.CANNOT_TELL
    assert judge_bends(bent, 1.0).verdict is Verdict.COSTS
    assert judge_bends(bent, 1.0).effect.contains(3 * (1 - 1 / 6 - (4 - 31 / 6) ** 2 / 180.8))
    assert judge_bends(bends(lever, random.normal(size=(4, 6))), 100.0).verdict is Verdict.CANNOT_TELL
    for found in (straight, bent):
        for bound in (0.05, 0.5, 5.0):
            assert 0 < found.p_beyond(bound) <= 1
            assert 0 < found.p_within(bound) <= 1
    assert straight.p_beyond(1.0) < 0.01 < straight.p_beyond(0.05)
    assert bent.p_within(1.0) < 0.01 < bent.p_within(5.0)


def test_fewer_than_five_blocks_say_nothing():
    found = judge(bootstrap(np.full(4, 5.0)), 1.0)
    assert found.verdict is Verdict.CANNOT_TELL
    assert found.more_blocks > 0
    assert judge(bootstrap(np.full(5, 5.0)), 1.0).verdict is Verdict.COSTS


def test_deviation_is_that_of_the_middle_half():
    values = np.random.default_rng(0).normal(3, 2, 4000)
    assert deviation(values) == pytest.approx(2, rel=0.05)
    assert deviation(np.append(values, [1e9] * 40)) == pytest.approx(2, rel=0.1)


def estimate(value, spread, n=20):
    return Estimate(value, np.random.default_rng(0).normal(value, spread, 4000), n)


@pytest.mark.parametrize(
    ("value", "spread", "verdict"),
    [
        (5, 0.5, Verdict.COSTS),
        (-5, 0.5, Verdict.SAVES),
        (0.1, 0.2, Verdict.EQUIVALENT),
        (0.9, 0.5, Verdict.CANNOT_TELL),
        (1.5, 0.5, Verdict.CANNOT_TELL),
        (0, 5, Verdict.CANNOT_TELL),
    ],
)
def test_verdicts(value, spread, verdict):
    finding = judge(estimate(value, spread), threshold=1.0)
    assert finding.verdict is verdict
    assert (finding.more_blocks > 0) == (verdict is Verdict.CANNOT_TELL)


def test_not_significant_never_means_no_effect():
    wide = judge(estimate(0.2, 3.0), threshold=1.0)
    assert wide.effect.contains(0)
    assert wide.verdict is Verdict.CANNOT_TELL
    # The interval must shrink from 6 to 0.8 or so: nearly sixty times the blocks.
    assert 500 < wide.more_blocks < 3000


def test_asking_many_questions_takes_back_what_chance_explains():
    sure = judge(estimate(5, 0.5), 1.0)
    lucky = Finding(Verdict.COSTS, Interval(1.01, 2, 3), 1.0, 0.02, 20)
    open_ = judge(estimate(0, 5), 1.0)
    adjusted = adjust([lucky, sure, open_, lucky, lucky])
    assert [finding.verdict for finding in adjusted] == [
        Verdict.CANNOT_TELL,
        Verdict.COSTS,
        Verdict.CANNOT_TELL,
        Verdict.CANNOT_TELL,
        Verdict.CANNOT_TELL,
    ]
    assert adjust([lucky])[0].verdict is Verdict.COSTS


def test_parts_add_up_over_the_same_blocks():
    random = np.random.default_rng(3)
    parts = random.lognormal(0, 0.5, size=(17, 3))
    parts[5] *= 40
    whole = parts.sum(axis=1)
    *found, total = bootstrap_parts(np.column_stack([parts, whole]), whole)
    assert sum(part.value for part in found) == pytest.approx(total.value)
    np.testing.assert_allclose(sum(part.draws for part in found), total.draws)
    assert total.value == pytest.approx(trimmed_mean(whole))
    np.testing.assert_allclose(total.draws, bootstrap(whole).draws)
