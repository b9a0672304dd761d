"""Forecasts of training steps against measurements, on random networks that no forecast was calibrated with.

    python benchmarks/forecast_check.py [--networks 20] [--seed 1] [--passport FILE] [--rounds 7] [--json FILE]

Measures this machine's passport (or takes a saved one), draws networks of 1 to 4 hidden layers, forecasts a step of
each in eager torch and in compiled code, then measures both in interleaved rounds. Printed are each network's forecast
and median, and the two figures by which forecasts are judged: the median error, and how often the engine that the
forecast recommends is the fastest one or within 10 % of it.

On one thread the thread's own time is taken, so that waiting for a turn on a machine that others use does not count;
what this machine's times are worth shows the A/A column: the second half of the rounds against the first.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotloop.insight.forecasting.forecast import forecast_eager, forecast_native
from hotloop.insight.forecasting.work import Work
from hotloop.insight.interval import Interval
from hotloop.insight.machines.measure_passport import measure_passport
from hotloop.insight.machines.measure_torch_costs import eager_session, eager_step_us
from hotloop.insight.machines.passport import Passport, load_passport
from hotloop.program.network import Network

_NEAR = 1.1
_LEAST_S = 0.01


@dataclass(frozen=True)
class Case:
    """One network and how it is trained."""

    network: Network
    work: Work
    n_batches: int

    def __str__(self) -> str:
        names = {name for name, _ in self.work.activations}
        kind = "minibatches" if self.work.gathers else "full batch"
        return f"{self.network} {'/'.join(names)} {self.work.loss} {self.work.optimizer} {self.work.batch_rows} {kind}"


@dataclass(frozen=True)
class Outcome:
    """A network's forecast and medians, in microseconds a step, by engine."""

    case: Case
    forecast: dict[str, Interval]
    measured: dict[str, float]
    again: dict[str, float]

    def error(self, engine: str) -> float:
        """Share of the measured time by which the forecast is off; signed."""
        return self.forecast[engine].value / self.measured[engine] - 1

    @property
    def recommended(self) -> str:
        """The engine whose forecast is shortest."""
        return min(self.forecast, key=lambda engine: self.forecast[engine].value)

    @property
    def is_right(self) -> bool:
        """Whether the recommended engine is the fastest, or nearly."""
        return self.measured[self.recommended] <= _NEAR * min(self.measured.values())


def draw(seed: int, n_networks: int) -> list[Case]:
    """Return random networks and how they are trained."""
    chance = random.Random(f"forecast {seed}")
    return [_draw_one(chance) for _ in range(n_networks)]


def _draw_one(chance: random.Random) -> Case:
    hidden = tuple(round(2 ** chance.uniform(2, 9)) for _ in range(chance.randint(1, 4)))
    loss = chance.choice(("ce", "mse", "bce"))
    n_outputs = chance.randint(2, 20) if loss == "ce" else chance.choice((1, 1, 4))
    network = Network.mlp(round(2 ** chance.uniform(2, 8)), hidden, n_outputs, chance.choice(("relu", "tanh", "gelu")))
    rows, gathers = round(2 ** chance.uniform(4, 12)), chance.random() < 0.5
    work = Work.of_network(network, loss, chance.choice(("sgd", "adam")), rows, gathers=gathers)
    return Case(network, work, chance.randint(4, 20) if gathers else 1)


def contenders(case: Case, passport: Passport) -> dict[str, Callable[[], float]]:
    """Return functions that take the time of a step once more, by engine."""
    # Not at the top: drawing networks needs no compiler.
    from hotloop.compiler.choose_tiles import RowsShape
    from hotloop.compiler.pipeline import compile_program
    from hotloop.insight.machines.measure_native_costs import native_times_us

    assert passport.native is not None, "the passport has no native engine"
    work = case.work
    n_rows = work.batch_rows * case.n_batches
    shape = RowsShape.of(n_rows, work.batch_rows if work.gathers else None, passport.native.lanes)
    compiled = compile_program(work.program, shape)
    timers: dict[str, Callable[[], float]] = {
        "native": lambda: statistics.median(native_times_us(compiled, work, repeats=3))
    }
    for costs in passport.torch:
        session = eager_session(work, case.network, "cpu", costs.threads, n_batches=case.n_batches)
        timers[_name(costs.threads)] = _warm(eager_step_us(session, costs.threads, least_s=_LEAST_S))
    return timers


def _warm(once: Callable[[], float]) -> Callable[[], float]:
    """Leave out the first time of each turn: training goes on, and fills the caches once."""

    def warm() -> float:
        once()
        return once()

    return warm


def _name(threads: int | None) -> str:
    return "eager" if threads == 1 else f"eager, {threads} threads"


def judge(case: Case, passport: Passport, rounds: int) -> Outcome:
    """Forecast, then measure: the median of rounds in which the engines take turns."""
    eager = {_name(costs.threads): forecast_eager(case.work, passport, costs.threads) for costs in passport.torch}
    forecast = {"native": forecast_native(case.work, passport), **eager}
    timers = contenders(case, passport)
    taken: dict[str, list[float]] = {engine: [] for engine in timers}
    for _ in range(2 * rounds):
        for engine in random.sample(list(timers), len(timers)):
            taken[engine].append(timers[engine]())
    half = {engine: statistics.median(times[:rounds]) for engine, times in taken.items()}
    return Outcome(
        case,
        forecast,
        {engine: statistics.median(times) for engine, times in taken.items()},
        {engine: statistics.median(times[rounds:]) / half[engine] for engine, times in taken.items()},
    )


def show(outcome: Outcome) -> None:
    """Print a network's line."""
    parts = [
        f"{engine} {outcome.forecast[engine].value:9.1f} {outcome.measured[engine]:9.1f} {outcome.error(engine):+5.0%}"
        for engine in outcome.forecast
    ]
    noise = max(abs(math.log(ratio)) for ratio in outcome.again.values())
    verdict = "right" if outcome.is_right else "WRONG"
    print(f"{' | '.join(parts)} | {outcome.recommended:<6} {verdict} | A/A {noise:4.0%} | {outcome.case}", flush=True)


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the judged figures, and what they are worth."""
    errors = {engine: [abs(outcome.error(engine)) for outcome in outcomes] for engine in outcomes[0].forecast}
    # What several threads take depends on what else runs: the judged error is of one.
    judged = [*errors["native"], *errors["eager"]]
    within = [
        outcome.forecast[engine].contains(outcome.measured[engine])
        for outcome in outcomes
        for engine in ("native", "eager")
    ]
    noise = [abs(math.log(outcome.again[engine])) for outcome in outcomes for engine in ("native", "eager")]
    return {
        "networks": len(outcomes),
        "median_error": statistics.median(judged),
        **{f"median_error_{engine}": statistics.median(those) for engine, those in errors.items()},
        "recommended_right": sum(outcome.is_right for outcome in outcomes),
        "native_was_fastest": sum(min(each.measured, key=each.measured.__getitem__) == "native" for each in outcomes),
        "within_bounds": sum(within) / len(within),
        "median_a_a": statistics.median(noise),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def main() -> None:
    """Forecast, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--passport", type=Path, metavar="FILE", help="in place of one measured now")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    given = parser.parse_args()
    passport = load_passport(given.passport) if given.passport else measure_passport()
    print(f"{passport.name}, measured on {passport.measured_on} in {passport.took_s} s; {passport.versions}")
    for note in passport.notes:
        print(f"note: {note}")
    print("engine    forecast    median error, in us a step | recommended")
    outcomes = []
    for case in draw(given.seed, given.networks):
        outcomes.append(judge(case, passport, given.rounds))
        show(outcomes[-1])
    figures = summary(outcomes)
    for name, figure in figures.items():
        print(f"{name:22} {figure:.3g}" if isinstance(figure, float) else f"{name:22} {figure}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
