"""Measuring passports: the parts by themselves, with clocks and devices that only pretend."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_passports import synthetic_cpu

from hotloop.errors import DeviceError
from hotloop.insight.forecasting.forecast import host_us, operations_us
from hotloop.insight.interval import Interval
from hotloop.insight.machines import kept_passport, measure_passport
from hotloop.insight.machines.measure_native_costs import NativeExample, forecasts_left_out, measure_native_costs
from hotloop.insight.machines.measure_torch_costs import spread_of
from hotloop.insight.machines.non_negative_fit import non_negative_fit
from hotloop.insight.machines.passport import TABLES, VECTOR_COSTS, Spread, load_passport, save_passport
from hotloop.insight.machines.stopwatch import CudaStopwatch, Stopwatch
from hotloop.insight.machines.torch_operations import Grid, operation, timed_tables

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class FakeClock:
    """Time passes only when work is done."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def work(self, *durations_s):
        """Work that takes these durations in turn, the last of them ever after."""
        left = list(durations_s)

        def once():
            self.now_s += left.pop(0) if len(left) > 1 else left[0]

        return once


def test_a_stopwatch_takes_the_least():
    clock = FakeClock()
    assert Stopwatch(clock, repeats=4, most_s=1e9).us(clock.work(9.0, 5.0, 2.0, 7.0, 3.0)) == pytest.approx(2e6)


def test_a_stopwatch_repeats_what_is_short():
    clock, calls = FakeClock(), []
    work = clock.work(1e-6)

    def counted():
        calls.append(1)
        work()

    assert Stopwatch(clock).us(counted) == pytest.approx(1.0)
    assert len(calls) > 300


class FakeCuda:
    """A device that is told things at once and does them when it is waited for; ``slow_host`` lets it catch up."""

    def __init__(self, sleeps_until=0):
        self.cuda = self
        self.queued, self.sleeps, self.sleeps_until = 0.0, [], sleeps_until

    def synchronize(self):
        pass

    def _sleep(self, cycles):
        self.sleeps.append(cycles)

    def Event(self, enable_timing):
        device = self

        class Event:
            def record(self):
                self.at_ms = device.queued

            def query(self):
                return device.sleeps[-1] < device.sleeps_until

            def elapsed_time(self, other):
                return other.at_ms - self.at_ms

        return Event()

    def kernel(self, ms):
        def run():
            self.queued += ms

        return run


def test_a_device_is_timed_apart_from_its_host():
    device = FakeCuda()
    assert CudaStopwatch(device).us(device.kernel(0.25)) == pytest.approx(250.0)
    assert CudaStopwatch(device).us(device.kernel(5.0)) == pytest.approx(5000.0)


def test_the_host_gets_a_longer_start_until_it_is_ahead():
    device = FakeCuda(sleeps_until=60_000_000)
    assert CudaStopwatch(device).us(device.kernel(0.25)) == pytest.approx(250.0)
    assert max(device.sleeps) >= 60_000_000 > device.sleeps[0]


def test_costs_are_found_again():
    chance = np.random.default_rng(0)
    counts = chance.uniform(0, 100, (30, 5))
    costs = np.array([3.0, 0.0, 0.5, 7.0, 1.0])
    assert non_negative_fit(counts, counts @ costs) == pytest.approx(costs, abs=1e-4)
    # Where a cost below nothing would fit best, it is nothing.
    assert (non_negative_fit(counts, np.maximum(counts @ (costs - [0, 0.2, 0, 0, 0]), 1.0)) >= 0).all()


def test_networks_are_forecast_from_the_others():
    counts = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0], [1.0, 3.0], [5.0, 2.0]])
    times = counts @ [2.0, 10.0]
    times[4] *= 3  # an outlier that only itself could explain
    forecasts = forecasts_left_out(counts, times, np.array([0, 0, 1, 2, 3]))
    assert forecasts[4] == pytest.approx(30.0, rel=1e-3)


def test_a_spread_holds_four_of_five():
    chance = np.random.default_rng(1)
    ratios = np.exp(chance.normal(0.3, 0.5, 400))
    spread = spread_of(ratios.tolist())
    assert spread.networks == 400
    assert spread.middle == pytest.approx(np.exp(0.3), rel=0.1)
    assert 0.76 < np.mean((ratios > spread.low) & (ratios < spread.high)) < 0.84
    exact = spread_of([1.0] * 5)
    assert exact.low < 0.9 < exact.middle == 1.0 < 1.1 < exact.high


GRID = Grid(
    rows=(8, 16), widths=(4, 8), elements=(16, 64), outputs=(2,), most_products=300, activations=("relu", "tanh")
)


def test_tables_say_what_goes_beyond_issuing():
    taken = iter(range(100, 10_000))
    tables = timed_tables(torch, "cpu", GRID, lambda work: float(next(taken)), with_issuing=False)
    assert list(tables) == list(TABLES)
    assert tables["activation relu"].us == (1.0, 2.0)
    # Issuing an activation counts as issuing the quickest: what this one's smallest takes more is its own.
    assert tables["activation tanh"].us == (4.0, 5.0)
    assert tables["activation silu"] == tables["activation tanh"]
    first = tables["first linear"]
    assert first.axes == ((8, 16), (4, 8), (4, 8))
    # 16 x 4 x 8 products are too many: twice what 8 rows take, issuing and all.
    assert first.us[5] == 2 * (100 + 2) - 100
    whole = timed_tables(torch, "cpu", GRID, lambda work: 7.0, with_issuing=True)
    assert set(whole["loss ce"].us) == {7.0}


def steps_like(costs, longer):
    """Steps that issue what these costs say and whose operations take longer by a factor; a tenth more in all."""
    return lambda example, *_: 1.1 * (host_us(example.work, costs) + longer * operations_us(example.work, costs))


# Beyond twice as long something else was at work, and less than alone is chance: the tables stay as they are.
@pytest.mark.parametrize(("longer", "counted"), [(1.0, 1.0), (1.5, 1.5), (0.7, 1.0), (9.0, 1.0)])
def test_operations_take_longer_within_a_step(monkeypatch, longer, counted):
    costs = synthetic_cpu().torch[0]
    monkeypatch.setattr(measure_passport, "_step_us", steps_like(costs, longer))
    examples = measure_passport.EXAMPLES
    compared = measure_passport.compared_with("cpu", costs, examples)
    work = examples[-1].work
    assert operations_us(work, compared) == pytest.approx(counted * operations_us(work, costs), rel=1e-3)
    assert host_us(work, compared) == host_us(work, costs)
    assert compared.spread.networks == len(examples)
    assert (compared.spread.middle == pytest.approx(1.1, rel=1e-3)) == (longer == counted)


def test_on_a_gpu_operations_are_timed_as_they_are(monkeypatch):
    costs = synthetic_cpu().torch[0]
    monkeypatch.setattr(measure_passport, "_step_us", steps_like(costs, 1.5))
    assert measure_passport.compared_with("cuda", costs, measure_passport.EXAMPLES).tables == costs.tables


def test_sizes_that_do_not_fit_into_memory_are_concluded():
    def us(work):
        us.calls += 1
        if us.calls == 6:  # 16 x 4 x 4, after the smallest and four with 8 rows
            raise torch.OutOfMemoryError("no room")
        return float(us.calls)

    us.calls = 0
    tables = timed_tables(torch, "cpu", replace(GRID, most_products=1e9), us, with_issuing=True)
    assert tables["first linear"].us[4] == 2 * tables["first linear"].us[0]


@pytest.mark.parametrize("name", TABLES)
def test_each_operation_runs(name):
    sizes = [4, 3, 2][: TABLES[name]]
    operation(torch, "cpu", name, *sizes)()


def test_costs_of_compiled_steps():
    examples = (
        NativeExample((4, 4, 1), "relu", "mse", "sgd", (16, 64)),
        NativeExample((4, 4, 1), "relu", "mse", "sgd", (32,), gathers=True),
    )
    costs = measure_native_costs(None, examples)
    assert set(costs.ns) == set(VECTOR_COSTS)
    assert all(value >= 0 for value in costs.ns.values())
    assert sum(costs.ns.values()) > 0
    assert costs.compile_us_per_instruction > 0
    assert costs.spread.networks == 3


def test_a_gpu_that_is_not_there():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError):
        measure_passport.measure_passport("cuda")


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gpu_check

    yield gpu_check
    for name in ("gpu_check", "forecast_check"):
        sys.modules.pop(name, None)


def test_the_check_of_gpus_runs_without_one(tmp_path, capsys, gpu_check):
    gpu_check.main(["--device", "cpu", "--quick", "--networks", "1", "--rounds", "1", "--out", str(tmp_path)])
    passport = load_passport(tmp_path / "passport.json")
    assert passport.accelerator.issue_us > 0
    assert passport.accelerator.graph_kernel_us is None
    figures = json.loads((tmp_path / "forecasts.json").read_text())
    assert len(figures["networks"]) == 1
    assert figures["networks"][0]["measured_us"] > 0
    assert "median error" in capsys.readouterr().out


def test_networks_of_a_check_are_drawn_from_the_seed(gpu_check):
    assert gpu_check.cases(3, 5) == gpu_check.cases(3, 5) != gpu_check.cases(4, 5)


def test_how_forecasts_are_judged(gpu_check):
    import forecast_check

    (case,) = forecast_check.draw(1, 1)
    forecast = {"native": Interval(8.0, 10.0, 12.0), "eager": Interval(80.0, 100.0, 120.0)}

    def outcome(native_us, eager_us):
        measured = {"native": native_us, "eager": eager_us}
        return forecast_check.Outcome(case, forecast, measured, dict.fromkeys(measured, 1.0))

    right, near, wrong = outcome(10.0, 125.0), outcome(109.0, 100.0), outcome(200.0, 100.0)
    assert [each.is_right for each in (right, near, wrong)] == [True, True, False]
    figures = forecast_check.summary([right, near, wrong])
    assert figures["recommended_right"] == 2
    assert figures["native_was_fastest"] == 1
    assert figures["within_bounds"] == pytest.approx(3 / 6)
    assert figures["median_error_eager"] == pytest.approx(0.0)
    assert figures["median_error_native"] == pytest.approx(1 - 10 / 109)
    assert figures["median_error"] == pytest.approx((0.0 + 0.2) / 2)


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """A cache of its own, and measuring that counts itself."""
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("HOTLOOP_NO_CACHE", raising=False)
    measured = []

    def measure(device):
        measured.append(device)
        return synthetic_cpu(
            machine=measure_passport.facts_here(),
            versions=measure_passport.versions(),
            measured_on=measure_passport.today(),
            notes=(),
        )

    monkeypatch.setattr(measure_passport, "measure_passport", measure)
    return measured


def test_a_passport_is_measured_once(kept):
    first = kept_passport.passport_here()
    assert kept_passport.passport_here() == first == kept_passport.kept_passport()
    assert kept == ["cpu"]


@pytest.mark.parametrize(
    "change",
    [
        {"machine": {"cpu": "another"}},
        {"versions": {"torch": "0.1"}},
        {"measured_on": "2001-01-01"},
        {"measured_on": "9999-01-01"},
        {"measured_on": "yesterday"},
        {"device": "cuda"},
    ],
)
def test_a_passport_of_something_else_is_measured_again(kept, change):
    passport = kept_passport.passport_here()
    save_passport(replace(passport, **change), kept_passport.passport_path("cpu"))
    assert kept_passport.kept_passport() is None
    assert kept_passport.passport_here() == passport
    assert kept == ["cpu", "cpu"]


def test_a_damaged_passport_is_measured_again(kept):
    passport = kept_passport.passport_here()
    kept_passport.passport_path("cpu").write_bytes(b"{}")
    assert kept_passport.passport_here() == passport
    assert len(kept) == 2


def test_figures_of_a_busy_machine_hold_until_it_is_calm(kept, monkeypatch):
    passport = kept_passport.passport_here()
    old = replace(passport, measured_on=measure_passport.today(days_ago=5))
    path = kept_passport.passport_path("cpu")
    save_passport(old, path)
    assert kept_passport.kept_passport() == old
    save_passport(replace(old, notes=("the machine was busy",)), path)
    monkeypatch.setattr(measure_passport, "is_busy", lambda: False)
    assert kept_passport.kept_passport() is not None
    quarter_of_an_hour_ago = time.time() - 900
    os.utime(path, (quarter_of_an_hour_ago, quarter_of_an_hour_ago))
    assert kept_passport.kept_passport() is None
    monkeypatch.setattr(measure_passport, "is_busy", lambda: True)
    assert kept_passport.kept_passport() is not None


def test_without_a_cache_nothing_is_kept(kept, monkeypatch):
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "1")
    kept_passport.passport_here()
    assert kept_passport.kept_passport() is None
    assert kept_passport.passport_path("cpu") is None


@pytest.mark.parametrize(
    ("low", "high", "n_kept"), [(0.8, 1.3, 1), (0.3, 3.0, 1), (0.05, 0.07, 0), (0.8, 15.0, 0), (15.0, 20.0, 0)]
)
def test_threads_that_something_else_kept_waiting_are_left_out(monkeypatch, low, high, n_kept):
    measured = replace(synthetic_cpu().torch[1], spread=Spread(low, (low + high) / 2, high, 3))
    monkeypatch.setattr(measure_passport, "is_busy", lambda: False)
    monkeypatch.setattr(measure_passport, "measure_tables", lambda *arguments, **named: {})
    monkeypatch.setattr(measure_passport, "compared_with", lambda *arguments: measured)
    costs, notes = measure_passport._all_threads({}, 4, measure_passport.Effort())
    assert len(costs) == n_kept
    assert len(notes) == 1 - n_kept
    assert measure_passport._all_threads({}, 1, measure_passport.Effort()) == ((), ())
