"""The court: measures what a claim asks for within a budget, then judges what was measured.

::

    evidence = measure(claim, bench, budget)     raw times; the only part that takes time
    ruling = rule(evidence)                      pure: the same evidence gives the same ruling

Experiments take turns, a block each, so that a restless minute of the machine falls on all of them, and so that each
has something to say whatever the budget. Holm's correction spans all answers of a claim.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from hotloop.errors import HotloopError, SavedRunError
from hotloop.insight.claims import find_claim
from hotloop.insight.claims.bench import Bench, FreshProcesses, InThisProcess, Survey
from hotloop.insight.claims.claim import Answer, Asked, Claim, Experiment
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.ruling import Ruling, Table, arms_of
from hotloop.insight.claims.undecided import undecided
from hotloop.insight.loop import Loop
from hotloop.insight.measure import BlockPlan, Budget, Clock, Collection, Measurements
from hotloop.insight.verdict import FEWEST_BLOCKS, Finding, adjust, restless

__all__ = ["Sitting", "judge_claim", "measure", "rule"]

_LEAST_BLOCKS, _MOST_BLOCKS = 12, 200
# Of the budget: when measuring ends, and what is left for it however long it took to start.
_SHARE_BEFORE_JUDGING, _LEAST_SHARE = 0.95, 0.4


@dataclass(frozen=True)
class Sitting:
    """How a claim is measured.

    Parameters
    ----------
    budget_s : float
        In all, from ``began_s`` on.
    seed : int
        Of the order of the arms.
    progress : function of str
        Is told what is going on.
    on_evidence : function of Evidence
        Is given what was measured so far where measuring is interrupted.
    clock : Clock
    began_s : float, optional
        What the clock said when the command began; now by default.
    """

    budget_s: float = 30.0
    seed: int = 0
    progress: Callable[[str], object] = lambda text: None
    on_evidence: Callable[[Evidence], object] = lambda evidence: None
    clock: Clock = time.monotonic
    began_s: float | None = None


def judge_claim(name: str, subject: Loop | str, *, budget_s: float = 30.0, seed: int = 0) -> Ruling:
    """Measure a claim and return the ruling.

    Parameters
    ----------
    name : str
        A key of :data:`hotloop.insight.claims.CLAIMS`.
    subject : Loop or str
        A loop is measured in this process; "iris" or a table's file in fresh ones.
    budget_s : float
        How long it may take.
    seed : int
        Of the order in which things are measured.

    Raises
    ------
    ArgumentError
        If there is no such claim.
    HotloopError
        If the subject cannot be trained.
    """
    claim, sitting = find_claim(name), Sitting(budget_s, seed)
    if isinstance(subject, Loop):
        return rule(measure(claim, InThisProcess(subject), sitting))
    from hotloop.insight.claims.process import START
    from hotloop.insight.fork_server import ForkServer

    with ForkServer(START) as server:
        return rule(measure(claim, FreshProcesses(server, subject), sitting))


def measure(claim: Claim, bench: Bench, sitting: Sitting) -> Evidence:
    """Run the experiments of a claim in turn until their intervals are narrow enough or the budget is spent.

    Raises
    ------
    HotloopError
        If the loop cannot be made.
    KeyboardInterrupt, SystemExit
        Passed on, after ``on_evidence``.
    """
    began_s = sitting.clock() if sitting.began_s is None else sitting.began_s
    session = _Session(claim, bench, sitting, began_s, bench.survey(claim.name))
    try:
        session.run()
    except (KeyboardInterrupt, SystemExit):
        sitting.on_evidence(session.evidence())
        raise
    return session.evidence()


class _Session:
    """Measuring under way."""

    def __init__(self, claim: Claim, bench: Bench, sitting: Sitting, began_s: float, survey: Survey) -> None:
        self._claim, self._bench, self._sitting, self._began_s = claim, bench, sitting, began_s
        self._facts, self._missing = survey.facts, dict(survey.missing)
        self._figures: dict[str, float] = {}
        self._at_once: dict[str, Measurements] = {}
        now_s = sitting.clock()
        measuring_s = began_s + _SHARE_BEFORE_JUDGING * sitting.budget_s - now_s
        self._measuring_s = max(measuring_s, _LEAST_SHARE * sitting.budget_s)
        self._deadline_s = now_s + self._measuring_s
        self._open = [each for each in claim.experiments if each.name not in self._missing]
        self._shares = sum(each.share for each in self._open)
        self._collections = {each.name: self._collection(each) for each in self._open if each.fresh}

    def run(self) -> None:
        for experiment in [each for each in self._open if not each.fresh]:
            self._try(experiment, self._all_blocks)
        while turn := self._next():
            self._try(turn, self._one_block)

    def evidence(self) -> Evidence:
        found = {name: each.measurements for name, each in self._collections.items() if each.blocks}
        return Evidence(
            claim=self._claim.name,
            facts=self._facts,
            measured={**found, **self._at_once},
            missing=self._missing,
            figures=self._figures,
            conditions=_conditions(),
            budget_s=self._sitting.budget_s,
            took_s=round(float(self._sitting.clock() - self._began_s), 3),
        )

    def _collection(self, experiment: Experiment) -> Collection:
        def block(plan: BlockPlan) -> object:
            found = self._bench.block(self._claim.name, experiment.name, plan, self._facts.own_time)
            self._figures.update(found.figures)
            return found.blocks[0]

        budget = Budget(float("inf"), _LEAST_BLOCKS, _MOST_BLOCKS)
        plan = self._plan(experiment)
        clock, own_time = self._sitting.clock, self._is_by_own_time(experiment)
        return Collection(block, budget, enough=experiment.narrow, plan=plan, clock=clock, own_time=own_time)  # type: ignore[arg-type]

    def _is_by_own_time(self, experiment: Experiment) -> bool:
        return self._facts.own_time and not experiment.waits

    def _plan(self, experiment: Experiment) -> BlockPlan:
        return BlockPlan(self._sitting.seed * 1_000_000, experiment.rounds, experiment.sample_s)

    def _left_s(self) -> float:
        return self._deadline_s - self._sitting.clock()

    def _next(self) -> Experiment | None:
        """Return whose turn it is: who has too few blocks for any verdict, then who had least of its share."""
        left_s = self._left_s()
        waiting = [e for e in self._open if e.fresh and self._collections[e.name].ended is None]
        waiting = [e for e in waiting if left_s > 0 and self._collections[e.name].fits(left_s)]
        return min(waiting, key=self._turn, default=None)

    def _turn(self, experiment: Experiment) -> tuple[bool, float]:
        collection = self._collections[experiment.name]
        return len(collection.blocks) > FEWEST_BLOCKS, collection.spent_s / experiment.share

    def _try(self, experiment: Experiment, run: Callable[[Experiment], None]) -> None:
        n_blocks = sum(len(each.blocks) for each in self._collections.values())
        elapsed_s = self._sitting.clock() - self._began_s
        self._sitting.progress(f"{experiment.name}: {n_blocks} blocks, {elapsed_s:.0f} of {self._sitting.budget_s:g} s")
        try:
            run(experiment)
        except HotloopError as error:
            self._missing[experiment.name] = (error.why or error.what).rstrip(".")
            self._open = [each for each in self._open if each is not experiment]

    def _one_block(self, experiment: Experiment) -> None:
        self._collections[experiment.name].one_more()

    def _all_blocks(self, experiment: Experiment) -> None:
        seconds = self._measuring_s * experiment.share / self._shares
        plan = self._plan(experiment)
        found = self._bench.blocks(self._claim.name, experiment.name, plan, seconds, self._facts.own_time)
        self._figures.update(found.figures)
        self._at_once[experiment.name] = Measurements(tuple(found.blocks), "time", self._is_by_own_time(experiment))


def _conditions() -> dict[str, str]:
    """Return what the figures hold for."""
    from importlib.metadata import version

    from hotloop.hardware import describe

    cpu = describe().cpu
    return {
        "processor": cpu.name or "unknown",
        "torch": version("torch"),
        "python": sys.version.split()[0],
        "date": date.today().isoformat(),
    }


def rule(evidence: Evidence) -> Ruling:
    """Judge what was measured.

    Raises
    ------
    SavedRunError
        If the evidence does not hold what the claim asks for.
    """
    try:
        return _ruling(find_claim(evidence.claim), evidence)
    except (LookupError, ValueError, ArithmeticError) as error:
        raise SavedRunError(
            f"these measurements are not those of '{evidence.claim}'",
            why=f"{type(error).__name__}: {error}",
            do="measure again",
        ) from error


def _ruling(claim: Claim, evidence: Evidence) -> Ruling:
    answers = _answers(claim.ask(evidence), evidence)
    conclusion = claim.conclude({answer.key: answer for answer in answers})
    return Ruling(
        claim=claim.name,
        belief=claim.belief(),
        prediction=claim.prediction(),
        standing=conclusion.standing,
        sentence=conclusion.sentence,
        answers=tuple(answers),
        tables=tuple(_table(claim.experiment(name), evidence) for name in evidence.measured),
        facts=evidence.facts,
        figures=evidence.figures,
        conditions=evidence.conditions,
        budget_s=evidence.budget_s,
        took_s=evidence.took_s,
    )


def _table(experiment: Experiment, evidence: Evidence) -> Table:
    measured = evidence.measured[experiment.name]
    n_blocks, ended = len(measured.blocks), measured.ended
    return Table(experiment.name, arms_of(measured), n_blocks, ended, not restless(measured), measured.own_time)


def _answers(asked: list[Asked], evidence: Evidence) -> list[Answer]:
    adjusted = iter(adjust([each.finding for each in asked if each.finding is not None]))
    return [_answer(each, each.finding and next(adjusted), evidence) for each in asked]


def _answer(asked: Asked, finding: Finding | None, evidence: Evidence) -> Answer:
    if finding is None:
        assert isinstance(asked.sentences, str)
        return Answer(asked.key, asked.question, asked.sentences, None, None, 0.0, "", 1.0, 0, 0)
    assert not isinstance(asked.sentences, str)
    sentence = asked.sentences.get(finding.verdict) or undecided(asked, finding, evidence)
    return Answer(
        asked.key,
        asked.question,
        sentence,
        finding.verdict,
        asked.effect,
        asked.threshold,
        asked.unit,
        finding.p,
        finding.n_blocks,
        finding.more_blocks,
    )
