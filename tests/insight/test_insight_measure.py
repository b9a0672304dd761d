"""The measuring core on a made-up machine whose truths are known."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from noisy_machine import NoisyMachine

from hotloop.errors import SavedRunError
from hotloop.insight.measure import (
    A_A,
    Arm,
    Block,
    BlockPlan,
    Budget,
    Collection,
    Measurements,
    collect,
    difference,
    level,
    linearity,
    ratio,
    run_block,
    slope,
    spread,
)
from hotloop.insight.verdict import Verdict, judge, narrow_enough


def measured(machine, arms_of, blocks=12, seed=0, enough=None):
    def block(plan):
        machine.new_block()
        return run_block(arms_of(), plan, machine.clock)

    budget = Budget(math.inf, least_blocks=5, most_blocks=blocks)
    rule = {} if enough is None else {"enough": enough}
    return collect(block, budget, plan=BlockPlan(seed), clock=machine.clock, **rule)


def quiet():
    return NoisyMachine(mood=0, jitter=0, interrupted=0, drift=0, warm_up=0)


def test_a_quiet_machine_gives_exact_figures():
    machine = quiet()
    found = measured(machine, lambda: machine.arms(base_us=130, per_lever_us=0.5))
    assert slope(found).value == pytest.approx(0.5)
    assert level(found, "0 times").value == pytest.approx(130)
    assert difference(found, "16 times").value == pytest.approx(8)
    assert ratio(found, "16 times").exp().value == pytest.approx(138 / 130)
    assert linearity(found).largest == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("cost_us", [0, 0.05, 0.5, 5])
def test_intervals_hold_the_truth_on_a_noisy_machine(cost_us):
    covered = 0
    for seed in range(20):
        machine = NoisyMachine(seed)
        found = measured(machine, lambda: machine.arms(130, cost_us), seed=seed)  # noqa: B023, called at once
        covered += slope(found).interval().contains(cost_us)
    # Of 20 at 95 %, fewer than 16 would be seen once in 400 times.
    assert covered >= 16


def test_the_same_under_two_names_is_no_effect():
    verdicts = []
    for seed in range(30):
        machine = NoisyMachine(seed)
        found = measured(machine, lambda: machine.arms(130, 0, levers=(0,)), seed=seed)  # noqa: B023
        verdicts.append(judge(ratio(found, A_A), math.log(1.01)).verdict)
    assert sum(verdict in (Verdict.COSTS, Verdict.SAVES) for verdict in verdicts) <= 1


def test_warming_up_is_left_out():
    machine = NoisyMachine(jitter=0.001, interrupted=0, drift=0, mood=0, warm_up=1.0)
    found = measured(machine, lambda: machine.arms(130, 1.0))
    assert level(found, "0 times").value == pytest.approx(130, rel=0.02)


def test_drift_within_a_block_is_no_effect():
    machine = NoisyMachine(jitter=0.001, interrupted=0, mood=0, warm_up=0, drift=1.0)
    found = measured(machine, lambda: machine.arms(130, 0.0))
    assert slope(found).interval().contains(0)
    assert slope(found).interval().half_width < 0.05


def test_drift_takes_nothing_below_zero():
    """Arms that take a thousandth of the base get slower as it does, in proportion."""
    machine = NoisyMachine(jitter=0.001, interrupted=0, mood=0, warm_up=0, drift=2.0)
    found = measured(machine, lambda: [Arm("base", machine.work(130)), Arm("short", machine.work(0.17), times=64)])
    assert ratio(found, "short").exp().value == pytest.approx(0.17 / 130, rel=0.02)


def test_several_experiments_can_take_turns():
    machine = quiet()

    def block(plan):
        return run_block(machine.arms(130, 0.5), plan, machine.clock)

    pair = [Collection(block, Budget(1.0, most_blocks=n), clock=machine.clock) for n in (3, 400)]
    while waiting := [each for each in pair if each.ended is None]:
        min(waiting, key=lambda each: each.spent_s).one_more()
    assert [each.ended for each in pair] == ["blocks", "time"]
    assert pair[1].spent_s <= 1.0
    assert not pair[1].fits(0.01)


def test_what_comes_before_a_sample_is_not_in_its_time():
    machine = quiet()
    slow = machine.work(50_000)
    found = measured(
        machine, lambda: [Arm("base", machine.work(100)), Arm("other", machine.work(100), before=lambda: slow(1))]
    )
    assert ratio(found, "other").exp().value == pytest.approx(1)


def test_how_much_blocks_differ_is_seen():
    machine = NoisyMachine(0, mood=0.1, jitter=0.001, interrupted=0, drift=0, warm_up=0)
    assert spread(measured(machine, lambda: machine.arms(130, 0), blocks=40)).interval().contains(0.1)


def test_a_bend_is_found_and_a_line_is_not_bent():
    machine = NoisyMachine(1)

    def bent():
        return [Arm(f"{k}", machine.work(130 + 0.05 * k**2), k) for k in (0, 1, 2, 4, 8, 16)]

    assert linearity(measured(machine, bent)).p < 0.01
    assert linearity(measured(machine, lambda: machine.arms(130, 1))).p > 0.05


def test_a_restless_machine_voids_the_run():
    """The arm that comes last in each block's list is slower: A/A is last, and differs from the base."""
    machine = quiet()
    calls = itertools.count()

    def base(units):
        machine.work(100 if next(calls) % 2 else 110)(units)

    found = measured(machine, lambda: [Arm("base", base)])
    real = ratio(found, A_A)
    unlike = Measurements(tuple(shift(block) for block in found.blocks), "")
    assert judge(real, 0.01, unlike).verdict is Verdict.VOID


def shift(block):
    """The same block with A/A a tenth slower."""
    seconds = np.where(block.arm == len(block.names) - 1, 1.1e-3, 1e-3)
    return type(block)(block.names, block.levers, block.units, block.arm, seconds)


def test_measuring_stops_when_the_interval_is_narrow_enough_or_time_is_up():
    machine = NoisyMachine(3)
    arms = lambda: machine.arms(130, 0.5)  # noqa: E731
    found = measured(machine, arms, blocks=60, enough=narrow_enough(slope, 0.5))
    assert found.ended == "narrow enough"
    assert len(found.blocks) < 60
    assert slope(found).interval().half_width < 0.25

    def block(plan):
        return run_block(arms(), plan, machine.clock)

    started_s = machine.now_s
    timed = collect(block, Budget(seconds=2.0), clock=machine.clock)
    assert timed.ended == "time"
    assert 1.0 < machine.now_s - started_s < 2.5


def test_calibration_is_not_fooled_by_an_interruption():
    machine = NoisyMachine(0, interrupted=0.3)
    blocks = [run_block([Arm("base", machine.work(100))], BlockPlan(seed), machine.clock) for seed in range(20)]
    assert all(20 <= block.units <= 100 for block in blocks)


def test_raw_times_can_be_judged_again():
    machine = NoisyMachine(5)
    found = measured(machine, lambda: machine.arms(130, 0.5))
    again = Measurements.from_json(json.loads(json.dumps(found.to_json())))
    assert slope(again).interval() == slope(found).interval()
    assert again.ended == found.ended


def test_by_a_threads_own_clock_arms_are_compared_by_their_fastest_samples():
    """Disturbances make samples longer, most a little, some a lot."""
    rng = np.random.default_rng(0)

    def block(plan):
        seconds = np.tile([100e-6, 120e-6, 100e-6], 15)
        seconds *= np.exp(rng.exponential(0.1, len(seconds)))
        return Block(("a", "b", A_A), (0.0, 1.0, 0.0), 1, np.tile([0, 1, 2], 15), seconds)

    found = collect(block, Budget(60.0, most_blocks=30), own_time=True)
    again = Measurements.from_json(json.loads(json.dumps(found.to_json())))
    on_the_wall = Measurements(found.blocks, found.ended)
    for measured in (found, again):
        assert ratio(measured, "b").exp().value == pytest.approx(1.2, abs=0.02)
        assert ratio(measured, "b").interval().half_width < ratio(on_the_wall, "b").interval().half_width / 1.5
        # What a unit takes is what it mostly takes.
        assert level(measured, "a").value == pytest.approx(level(on_the_wall, "a").value, rel=0.03)


BLOCK = {"names": ["a", A_A], "levers": [0, 0], "units": 3, "arm": [0, 1], "seconds": [1.0, 1.0]}


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["a"]},
        {"arm": [0, 2]},
        {"arm": [0]},
        {"arm": [[0, 1]]},
        {"seconds": [1.0, float("nan")]},
        {"seconds": [1.0, 0.0]},
        {"seconds": [1.0, -1.0]},
        {"seconds": ["x", "y"]},
        {"units": 0},
        {"units": "3"},
        {"levers": [0]},
    ],
)
def test_damaged_measurements_are_refused(change):
    assert Measurements.from_json({"ended": "", "blocks": [BLOCK]})
    with pytest.raises(SavedRunError):
        Measurements.from_json({"ended": "", "blocks": [{**BLOCK, **change}]})


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_else_is_refused(data):
    with pytest.raises(SavedRunError):
        Measurements.from_json(data)
