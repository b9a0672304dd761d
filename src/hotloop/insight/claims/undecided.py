"""What is said where nothing can be concluded: how far the bounds are apart, and what would settle it."""

from __future__ import annotations

import math

from hotloop.insight.claims.claim import Asked
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import figure, with_bounds
from hotloop.insight.verdict import FEWEST_BLOCKS, Finding, Verdict
from hotloop.language import _

__all__ = ["undecided"]

_LONGEST_BUDGET_S, _SAID_IN_SECONDS = 3600, 180


def undecided(asked: Asked, finding: Finding, evidence: Evidence) -> str:
    """Return the sentence of an answer that is void or cannot be told."""
    assert asked.effect is not None
    if finding.verdict is Verdict.VOID:
        return _(
            "Void: the base, measured twice under two names, differed from itself by more than 1 %. "
            "The machine was too restless."
        )
    if finding.n_blocks < FEWEST_BLOCKS:
        text = _("Open: {n} of {least} blocks at least; {remedy}.")
        return text.format(n=finding.n_blocks, least=FEWEST_BLOCKS, remedy=_remedy(finding, evidence.budget_s))
    text = _("Open: {found} after {n} blocks, where {threshold} would count; {remedy}.")
    return text.format(
        found=with_bounds(asked.effect, asked.unit, sign="+"),
        n=finding.n_blocks,
        threshold=f"{figure(asked.threshold)} {asked.unit}",
        remedy=_remedy(finding, evidence.budget_s),
    )


def _remedy(finding: Finding, budget_s: float) -> str:
    needed_s = budget_s * (1 + finding.more_blocks / max(finding.n_blocks, 1))
    if needed_s > _LONGEST_BUDGET_S:
        return _("about {n} more blocks would settle it, too many for this machine").format(n=finding.more_blocks)
    budget = f"{10 * math.ceil(needed_s / 10)}s" if needed_s < _SAID_IN_SECONDS else f"{math.ceil(needed_s / 60)}m"
    text = _("about {n} more blocks would settle it: a budget of {budget}")
    return text.format(n=finding.more_blocks, budget=budget)
