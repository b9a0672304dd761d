"""What most claims ask: whether one way takes longer than the other, by more than a share of a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hotloop.insight.claims.claim import Answer, Asked, Conclusion, Standing
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import signed_percent, us
from hotloop.insight.interval import Interval
from hotloop.insight.measure import Measurements, difference, ratio
from hotloop.insight.statistics import Estimate
from hotloop.insight.verdict import INSIDE, Verdict, judge, narrow_enough
from hotloop.language import _, translated

__all__ = [
    "LEAST_COST_US",
    "THRESHOLD",
    "Wording",
    "as_change",
    "belief_costs",
    "belief_same",
    "belief_saves",
    "compare",
    "narrow_ratio",
    "not_tried",
    "why_missing",
]

_OPPOSITE = {Verdict.SAVES: Verdict.COSTS, Verdict.COSTS: Verdict.SAVES}
_UNDECIDED = (Verdict.CANNOT_TELL, Verdict.VOID)
THRESHOLD = 0.02
"""The smallest change of a step's time that counts, as a share.

Two single runs of a loop differ by several times as much. A record took 0.9 to 1.4 % of a step of the lesson's on the
processors met so far: a threshold at 1 % would leave to chance what is said of it.
"""

LEAST_COST_US = 0.02
"""An empty call of a function takes about this; less than that is no cost of something done now and then."""


@dataclass(frozen=True)
class Wording:
    """The sentences of a comparison; ``{change}`` and ``{us}`` are put in: percent and microseconds, with bounds.

    Parameters
    ----------
    question, costs, saves, equivalent : str
        Of the arm, against the base.
    """

    question: str
    costs: str
    saves: str
    equivalent: str


def compare(
    evidence: Evidence,
    experiment: str,
    arm: str,
    wording: Wording,
    *,
    key: str | None = None,
    base: str | None = None,
    threshold: float = THRESHOLD,
) -> Asked:
    """Return the question whether an arm takes longer than the base, as a share of its time.

    Parameters
    ----------
    evidence : Evidence
    experiment, arm : str
        By name.
    wording : Wording
    key : str, optional
        The arm's name by default.
    base : str, optional
        An arm; the first by default.
    threshold : float
        The smallest share that counts.
    """
    key = key or arm
    if experiment not in evidence.measured:
        return not_tried(evidence, experiment, key, wording.question)
    measured = evidence.measured[experiment]
    changed, by = ratio(measured, arm, base), difference(measured, arm, base)
    effect = as_change(changed)
    written = {"change": signed_percent(effect), "us": us(by.interval()), "threshold": f"{threshold * 100:g} %"}
    inside = {**written, "change": signed_percent(as_change(changed, INSIDE)), "us": us(by.interval(INSIDE))}
    return Asked(
        key,
        wording.question,
        {
            Verdict.COSTS: wording.costs.format(**written),
            Verdict.SAVES: wording.saves.format(**written),
            Verdict.EQUIVALENT: wording.equivalent.format(**inside),
        },
        judge(changed, math.log1p(threshold), measured),
        effect.times(100),
        threshold * 100,
        "%",
    )


def as_change(log_ratio: Estimate, confidence: float = 0.95) -> Interval:
    """Return the change that a logarithm of a ratio means, as a share."""
    bounds = log_ratio.interval(confidence)
    return Interval(math.expm1(bounds.low), math.expm1(bounds.value), math.expm1(bounds.high))


def narrow_ratio(*arms: str, threshold: float = THRESHOLD) -> Callable[[Measurements], bool]:
    """Return the rule to stop when the changes of these arms are known to a quarter of what counts."""
    rules = [narrow_enough(_ratio_of(arm), math.log1p(threshold) / 2) for arm in arms]
    return lambda measurements: all(rule(measurements) for rule in rules)


def _ratio_of(arm: str) -> Callable[[Measurements], Estimate]:
    return lambda measurements: ratio(measurements, arm)


def not_tried(evidence: Evidence, experiment: str, key: str, question: str) -> Asked:
    """Return the question of an experiment that there is nothing of."""
    return Asked(key, question, _("Could not be tried: {why}.").format(why=why_missing(evidence, experiment)))


def why_missing(evidence: Evidence, experiment: str) -> str:
    """Return why there is nothing of an experiment; reasons come from other processes and files, in English."""
    why = evidence.missing.get(experiment)
    return _("the time was up before its first block") if why is None else translated(why)


def belief_saves(key: str, other_keys: tuple[str, ...] = ()) -> Callable[[Mapping[str, Answer]], Conclusion]:
    """Return the conclusion of a belief that says that something is faster: the answer under a key decides.

    Parameters
    ----------
    key : str
    other_keys : tuple of str
        Answers whose sentences belong to the conclusion, too.
    """
    return lambda answers: _concluded(answers, Verdict.SAVES, (key, *other_keys))


def belief_costs(key: str, other_keys: tuple[str, ...] = ()) -> Callable[[Mapping[str, Answer]], Conclusion]:
    """Return the conclusion of a belief that says that something takes time; see :func:`belief_saves`."""
    return lambda answers: _concluded(answers, Verdict.COSTS, (key, *other_keys))


def belief_same(key: str, other_keys: tuple[str, ...] = ()) -> Callable[[Mapping[str, Answer]], Conclusion]:
    """Return the conclusion of a belief that says that something makes no difference; see :func:`belief_saves`."""
    return lambda answers: _concluded(answers, Verdict.EQUIVALENT, (key, *other_keys))


def _concluded(answers: Mapping[str, Answer], believed: Verdict, keys: tuple[str, ...]) -> Conclusion:
    first = answers[keys[0]]
    standing, said = _standing(first.verdict, believed)
    # What is open is told once, below.
    others = [answers[key] for key in keys[1:] if answers[key].verdict not in (*_UNDECIDED, None)]
    sentences = [said, first.sentence, *(other.sentence for other in others)]
    return Conclusion(standing, " ".join(sentence for sentence in sentences if sentence))


def _standing(verdict: Verdict | None, believed: Verdict) -> tuple[Standing, str]:
    match verdict:
        case None:
            return Standing.NOT_TRIED, ""
        case Verdict.CANNOT_TELL:
            return Standing.CANNOT_TELL, ""
        case Verdict.VOID:
            return Standing.VOID, ""
        case _ if verdict is believed:
            return Standing.HOLDS, ""
        case _ if verdict is _OPPOSITE.get(believed):
            return Standing.FAILS, _("The opposite is true here.")
        case _:
            return Standing.FAILS, ""
