"""One workload from first runs to figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hotloop.bench.contender import Contender, Training
from hotloop.bench.eager import Eager
from hotloop.bench.first_runs import FirstRun, deviation, first_run
from hotloop.bench.result import Absent, Timing, WorkloadResult
from hotloop.bench.rounds import Rounds, in_one_line, run_rounds
from hotloop.bench.workloads import Workload
from hotloop.insight.interval import Interval
from hotloop.insight.measure import A_A, ratio
from hotloop.language import Sentence, _

__all__ = ["Plan", "run_workload"]

OURS, REFERENCE = "hotloop", "eager"
# A training longer than so many times what was asked for, and than so many seconds, leaves its contender out.
_LONGEST, _LONGEST_S = 10, 5.0


@dataclass(frozen=True)
class Plan:
    """How long to measure, and what the figures are set against.

    Parameters
    ----------
    rounds : int
    seconds : float
        Of each contender in each round, about; never less than an epoch.
    compare_s : float
        How long a contender may train for its loss curve.
    seed : int
        Of the order of contenders in each round.
    peaks : mapping from threads to float
        Arithmetic peaks in GFLOP/s, those that are known.
    tell : function of a text
        Called as work goes on.
    """

    rounds: int = 7
    seconds: float = 0.2
    compare_s: float = 3.0
    seed: int = 0
    peaks: Mapping[int, float] = field(default_factory=dict)
    tell: Callable[[str], None] = lambda text: None


def run_workload(workload: Workload, contenders: Sequence[Contender], plan: Plan) -> WorkloadResult:
    """Compare the contenders' curves, then their times.

    A contender that cannot take part or fails is told of in the result, with the reason; it never ends the run.
    """
    firsts, absent = _first_runs(workload, contenders, plan)
    trainings = _trainings(workload, contenders, firsts, absent, plan)
    epochs = {name: number for name, (number, _training) in trainings.items()}
    steps = {name: number * len(workload.batch_sizes) for name, number in epochs.items()}
    rounds = Rounds(None, ())
    if trainings:
        timed = {name: _step_time(training, steps[name]) for name, (_number, training) in trainings.items()}
        rounds = run_rounds(timed, plan.rounds, plan.seed, lambda number: _tell_round(workload, plan, number))
    threads = {contender.name: contender.threads for contender in contenders}
    figures = _Figures(workload, firsts, rounds, steps, threads, plan)
    return WorkloadResult(
        workload.name,
        workload.origin,
        workload.describe(),
        workload.flop_per_step,
        figures.floor_us,
        figures.ratio(A_A) if OURS in figures.measured else None,
        tuple(figures.timing(name) for name in figures.measured),
        (*absent, *rounds.failed),
    )


def _first_runs(
    workload: Workload, contenders: Sequence[Contender], plan: Plan
) -> tuple[dict[str, FirstRun], list[Absent]]:
    """Return everyone's first runs, eager's among them whether it takes part or not, and who is absent."""
    firsts, absent = dict[str, FirstRun](), list[Absent]()
    everyone = list(contenders)
    if all(contender.name != REFERENCE for contender in contenders):
        everyone.append(Eager(REFERENCE, "", 1))
    for contender in everyone:
        if why := contender.absent(workload):
            absent.append(Absent(contender.name, why))
            continue
        plan.tell(_("{workload}: first runs of {name}").format(workload=workload.name, name=contender.name))
        try:
            firsts[contender.name] = first_run(workload, contender, plan.compare_s)
        except Exception as error:
            absent.append(Absent(contender.name, in_one_line(error)))
    return firsts, absent


def _trainings(
    workload: Workload,
    contenders: Sequence[Contender],
    firsts: Mapping[str, FirstRun],
    absent: list[Absent],
    plan: Plan,
) -> dict[str, tuple[int, Training]]:
    """Return epochs and training of each contender for the rounds; those that would take too long become absent."""
    trainings: dict[str, tuple[int, Training]] = {}
    for contender in contenders:
        if (first := firsts.get(contender.name)) is None:
            continue
        if first.epoch_s > max(_LONGEST * plan.seconds, _LONGEST_S):
            us = 1e6 * first.epoch_s / len(workload.batch_sizes)
            why = Sentence(
                "too slow here for the rounds: an epoch takes {seconds:.2g} s, about {us:,.0f} us a step",
                seconds=first.epoch_s,
                us=us,
            )
            absent.append(Absent(contender.name, why))
            continue
        epochs = max(1, round(plan.seconds / first.epoch_s))
        try:
            trainings[contender.name] = epochs, contender.prepare(workload, epochs, None)
        except Exception as error:
            absent.append(Absent(contender.name, in_one_line(error)))
    return trainings


def _tell_round(workload: Workload, plan: Plan, number: int) -> None:
    text = _("{workload}: round {number} of {rounds}") if number else _("{workload}: warming up")
    plan.tell(text.format(workload=workload.name, number=number, rounds=plan.rounds))


def _step_time(training: Training, steps: int) -> Callable[[], float]:
    return lambda: training().duration_s / steps


@dataclass(frozen=True, eq=False)
class _Figures:
    """What the figures of a workload are made of."""

    workload: Workload
    firsts: Mapping[str, FirstRun]
    rounds: Rounds
    steps: Mapping[str, int]
    threads: Mapping[str, int]
    plan: Plan

    @property
    def measured(self) -> list[str]:
        measurements = self.rounds.measurements
        return [name for name in measurements.names if name != A_A] if measurements else []

    def ratio(self, name: str) -> Interval | None:
        """How many times as long as hotloop's its step takes."""
        measurements = self.rounds.measurements
        if measurements is None or OURS not in self.measured or name == OURS:
            return None
        return ratio(measurements, name, OURS).exp().interval()

    def timing(self, name: str) -> Timing:
        first, us = self.firsts[name], self.rounds.us_per_step(name)
        median_us = sorted(us)[len(us) // 2]
        deviates, over = None, 0
        if REFERENCE in self.firsts:
            deviates, over = deviation(first.losses, self.firsts[REFERENCE].losses)
        peak = self._peak(self.threads[name])
        return Timing(
            name=name,
            threads=self.threads[name],
            us_per_step=us,
            steps=self.steps[name],
            rows_per_step=self.workload.n_rows / len(self.workload.batch_sizes),
            peak_share=self._reached(name) / peak if peak else None,
            ratio=self.ratio(name),
            prepare_s=first.prepare_s,
            pays_after_steps=self._pays_after(first.prepare_s, median_us),
            deviation=deviates,
            compared_epochs=over,
        )

    @property
    def floor_us(self) -> float | None:
        """The step's arithmetic at the peak of one core; None where that is unknown."""
        peak = self._peak(1)
        return self.workload.flop_per_step / peak / 1e3 if peak else None

    def _peak(self, threads: int) -> float | None:
        """Return the peak in GFLOP/s: what was measured, or more where a contender did more."""
        if threads not in self.plan.peaks:
            return None
        here = [name for name in self.measured if self.threads[name] == threads]
        return max([self.plan.peaks[threads], *map(self._reached, here)])

    def _reached(self, name: str) -> float:
        us = sorted(self.rounds.us_per_step(name))
        return self.workload.flop_per_step / us[len(us) // 2] / 1e3

    def _pays_after(self, prepare_s: float, median_us: float) -> int | None:
        if prepare_s == 0:
            return 0
        if REFERENCE not in self.measured:
            return None
        us = sorted(self.rounds.us_per_step(REFERENCE))
        saved_us = us[len(us) // 2] - median_us
        return math.ceil(1e6 * prepare_s / saved_us) if saved_us > 0 else None
