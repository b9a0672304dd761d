"""From trainings to figures, with contenders whose times are written down."""

from __future__ import annotations

import pytest

from hotloop.bench.run_workload import Plan, run_workload

# Trainings that do not count: two for the length and the curve, and a round to warm up.
BEFORE = 3


def test_figures(tiny_classes, scripted):
    hotloop = scripted("hotloop", us=(2.0,), prepare_s=0.08)
    eager = scripted("eager", us=(10.0,) * BEFORE + (10.0, 12.0, 11.0))
    slow = scripted("slow", us=(20.0,), prepare_s=1.0, loss=1.01, threads=2)
    result = run_workload(tiny_classes, [hotloop, eager, slow], Plan(rounds=3, seconds=0.01, peaks={1: 5.0, 2: 8.0}))
    ours, theirs, late = (result.timing(name) for name in ("hotloop", "eager", "slow"))
    assert theirs.us_per_step == pytest.approx([10, 12, 11])
    assert (theirs.least_us, theirs.median_us) == pytest.approx((10, 11))
    assert theirs.ratio.value == pytest.approx(5.5, rel=0.01)
    assert theirs.ratio.low < 5.5 < theirs.ratio.high
    assert ours.ratio is None
    assert result.again.value == pytest.approx(1)
    assert ours.pays_after_steps == 8889  # 0.08 s by 9 us
    assert theirs.pays_after_steps == 0
    assert late.pays_after_steps is None
    assert (ours.deviation, theirs.deviation) == (0, 0)
    assert late.deviation == pytest.approx(0.01)
    assert ours.compared_epochs == tiny_classes.compared_epochs
    assert ours.rows_per_s == pytest.approx(50 / 4 / 2e-6)
    flop = 50 * (6 * (24 + 18) - 2 * 24) / 4
    assert result.flop_per_step == flop
    assert ours.peak_share == pytest.approx(flop / 2 / 1e3 / 5)
    assert late.peak_share == pytest.approx(flop / 20 / 1e3 / 8)
    assert result.floor_us == pytest.approx(flop / 5e3)
    assert result.absent == ()


def test_nobody_does_better_than_the_peak(tiny_classes, scripted):
    """A peak that was missed beside other work is at least what a contender with as many threads has done."""
    quick, slow = scripted("hotloop", us=(2.0,)), scripted("eager", us=(4.0,))
    result = run_workload(tiny_classes, [quick, slow], Plan(rounds=2, seconds=0.01, peaks={1: 0.001}))
    assert [result.timing(name).peak_share for name in ("hotloop", "eager")] == pytest.approx([1, 0.5])
    assert result.floor_us == pytest.approx(2)


def test_lengths_follow_the_time_of_an_epoch(tiny_classes, scripted):
    quick, slow = scripted("hotloop", us=(1.0,)), scripted("eager", us=(1000.0,))
    run_workload(tiny_classes, [quick, slow], Plan(rounds=2, seconds=0.008))
    assert quick.prepared == [(5, 0), (2000, None)]
    assert slow.prepared == [(5, 0), (2, None)]


def test_a_slow_contenders_curve_is_compared_over_fewer_epochs(tiny_numbers, scripted):
    slow, eager = scripted("slow", us=(1e5,)), scripted("eager")
    workload = tiny_numbers.__class__(**{**vars(tiny_numbers), "compared_epochs": 1000})
    result = run_workload(workload, [slow, eager], Plan(rounds=2, seconds=0.1, compare_s=5.0))
    assert slow.prepared[:2] == [(20, 0), (50, 0)]
    assert result.timing("slow").compared_epochs == 50
    assert result.timing("eager").compared_epochs == 1000


def test_who_is_absent_and_why(tiny_classes, scripted):
    result = run_workload(
        tiny_classes,
        [
            scripted("hotloop"),
            scripted("eager"),
            scripted("missing", missing="not installed"),
            scripted("at once", fails_at=0),
            scripted("later", fails_at=4),
            scripted("glacial", us=(2e6,)),
        ],
        Plan(rounds=2, seconds=0.001),
    )
    assert [timing.name for timing in result.contenders] == ["hotloop", "eager"]
    why = {absent.name: absent.why for absent in result.absent}
    assert why["missing"] == "not installed"
    assert why["at once"] == "RuntimeError: at once fell over at once"
    assert why["later"] == "RuntimeError: later fell over at once"
    assert why["glacial"] == "too slow here for the rounds: an epoch takes 8 s, about 2,000,000 us a step"


def test_curves_are_compared_with_eagers_even_where_it_does_not_take_part(tiny_numbers, scripted):
    result = run_workload(tiny_numbers, [scripted("hotloop", loss=1e3, prepare_s=1)], Plan(rounds=2, seconds=0.001))
    (ours,) = result.contenders
    assert ours.deviation > 10
    assert ours.pays_after_steps is None


def test_without_hotloop_there_are_no_ratios(tiny_classes, scripted):
    result = run_workload(tiny_classes, [scripted("eager"), scripted("jax")], Plan(rounds=2, seconds=0.001))
    assert [timing.ratio for timing in result.contenders] == [None, None]
    assert result.again is None


def test_nobody_comes_through(tiny_classes, scripted):
    result = run_workload(tiny_classes, [scripted("jax", fails_at=0)], Plan(rounds=2))
    assert result.contenders == ()
    assert len(result.absent) == 1
