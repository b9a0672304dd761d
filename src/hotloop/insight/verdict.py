"""From an estimate to a verdict: costs, saves, equivalent, or cannot tell; never "not significant, so no effect".

An effect counts from a threshold d on that was set before measuring:

* *costs*, *saves*: the 95 % interval lies wholly beyond d;
* *equivalent*: the 90 % interval lies wholly within +-d (two one-sided tests at 5 %);
* *cannot tell*: neither; with the number of blocks that would probably do;
* *void*: the base differs from itself (A/A), so the machine was too restless for any verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from hotloop.insight.interval import Interval
from hotloop.insight.measure import A_A, Measurements, ratio
from hotloop.insight.statistics import Bends, Estimate, holm

__all__ = [
    "FEWEST_BLOCKS",
    "INSIDE",
    "Finding",
    "Verdict",
    "adjust",
    "judge",
    "judge_bends",
    "narrow_enough",
    "restless",
]

_SIGNIFICANCE = 0.05
# Two names for the same thing may differ by this before a run is void.
_RESTLESS = math.log(1.01)
_MOST_MORE_BLOCKS = 9_999
INSIDE = 0.90
"""Confidence of the interval that must lie within the threshold where things are called equivalent; sentences that say
so show this one."""
FEWEST_BLOCKS = 5
"""Fewer cannot show how much blocks differ from each other."""


class Verdict(StrEnum):
    """What can be said of an effect."""

    COSTS = "costs"
    SAVES = "saves"
    EQUIVALENT = "equivalent"
    CANNOT_TELL = "cannot tell"
    VOID = "void"


@dataclass(frozen=True)
class Finding:
    """A verdict and what it rests on.

    Parameters
    ----------
    verdict : Verdict
    effect : Interval
        With 95 % confidence, in the estimate's unit.
    threshold : float
        The smallest effect that counts, in the same unit.
    p : float
        How well "there is no effect beyond the threshold" agrees with the blocks; for "equivalent", how well "there is
        one" does.
    n_blocks : int
    more_blocks : int
        How many blocks more would probably settle it; 0 where it is settled.
    """

    verdict: Verdict
    effect: Interval
    threshold: float
    p: float
    n_blocks: int
    more_blocks: int = 0


def judge(estimate: Estimate, threshold: float, measurements: Measurements | None = None) -> Finding:
    """Return the verdict on an effect.

    Parameters
    ----------
    estimate : Estimate
        Of the effect: a difference, a slope, or the logarithm of a ratio.
    threshold : float
        The smallest effect that counts, in the estimate's unit.
    measurements : Measurements, optional
        Where the estimate comes from; if its A/A arm differs from the base, the run is void.
    """
    n, effect, inner = estimate.n_blocks, estimate.interval(), estimate.interval(INSIDE)
    if n < FEWEST_BLOCKS:
        return Finding(Verdict.CANNOT_TELL, effect, threshold, 1.0, n, 2 * FEWEST_BLOCKS - n)
    if measurements is not None and restless(measurements):
        return Finding(Verdict.VOID, effect, threshold, 1.0, n, n)
    if effect.low > threshold:
        return Finding(Verdict.COSTS, effect, threshold, estimate.p_at_most(threshold), n)
    if effect.high < -threshold:
        return Finding(Verdict.SAVES, effect, threshold, estimate.p_at_least(-threshold), n)
    p = max(estimate.p_at_least(threshold), estimate.p_at_most(-threshold))
    if -threshold < inner.low and inner.high < threshold:
        return Finding(Verdict.EQUIVALENT, effect, threshold, p, n)
    return Finding(Verdict.CANNOT_TELL, effect, threshold, 1.0, n, _more_blocks(effect, threshold, n))


def judge_bends(bends: Bends, threshold: float, measurements: Measurements | None = None) -> Finding:
    """Return the verdict on whether levels lie on a line: *costs* where one departs from it by more than counts.

    Parameters
    ----------
    bends : Bends
    threshold : float
        The smallest departure that counts, in the unit of the times.
    measurements : Measurements, optional
        As in :func:`judge`.
    """
    worst = max(bends.deviations, key=lambda deviation: max(abs(deviation.low), abs(deviation.high)))
    n = bends.n_blocks
    if n < FEWEST_BLOCKS:
        return Finding(Verdict.CANNOT_TELL, worst, threshold, 1.0, n, 2 * FEWEST_BLOCKS - n)
    if measurements is not None and restless(measurements):
        return Finding(Verdict.VOID, worst, threshold, 1.0, n, n)
    beyond = [d for d in bends.deviations if d.low > threshold or d.high < -threshold]
    if beyond:
        return Finding(Verdict.COSTS, max(beyond, key=lambda d: abs(d.value)), threshold, bends.p_within(threshold), n)
    if bends.largest < threshold:
        return Finding(Verdict.EQUIVALENT, worst, threshold, bends.p_beyond(threshold), n)
    return Finding(Verdict.CANNOT_TELL, worst, threshold, 1.0, n, _more_blocks(worst, threshold, n))


def narrow_enough(estimate: Callable[[Measurements], Estimate], threshold: float) -> Callable[[Measurements], bool]:
    """Return the rule to stop measuring by: half the interval's width is below half the threshold.

    It asks for a width alone, so that stopping does not choose the result.
    """
    return lambda measurements: estimate(measurements).interval().half_width < threshold / 2


def restless(measurements: Measurements) -> bool:
    """Whether the base differs from itself by more than a hundredth."""
    same = ratio(measurements, A_A).interval()
    return same.low > _RESTLESS or same.high < -_RESTLESS


def adjust(findings: list[Finding]) -> list[Finding]:
    """Return the findings of several questions, with "cannot tell" where a verdict may be due to asking many."""
    settled = [finding for finding in findings if finding.verdict not in (Verdict.CANNOT_TELL, Verdict.VOID)]
    p_values = dict(zip(map(id, settled), holm([finding.p for finding in settled]), strict=True))
    return [_with_p(finding, p_values.get(id(finding), finding.p)) for finding in findings]


def _with_p(finding: Finding, p: float) -> Finding:
    settled = finding.verdict not in (Verdict.CANNOT_TELL, Verdict.VOID)
    if settled and p > _SIGNIFICANCE:
        more = _more_blocks(finding.effect, finding.threshold, finding.n_blocks)
        return replace(finding, verdict=Verdict.CANNOT_TELL, p=p, more_blocks=max(1, more))
    return replace(finding, p=p)


def _more_blocks(effect: Interval, threshold: float, n_blocks: int) -> int:
    """Return how many more blocks would bring the interval to one side; widths shrink with the root of their number."""
    room = max(abs(threshold - abs(effect.value)), threshold / 10, 1e-300)
    more = n_blocks * ((effect.half_width / room) ** 2 - 1)
    return int(min(max(1, math.ceil(more)), _MOST_MORE_BLOCKS)) if math.isfinite(more) else _MOST_MORE_BLOCKS
