"""The claim that switching off Python's garbage collector makes training faster."""

from __future__ import annotations

import gc

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]


def _arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    workbench.afterwards.callback(gc.enable if gc.isenabled() else gc.disable)
    return [Arm("collector on", steps.run, before=gc.enable), Arm("collector off", steps.run, before=gc.disable)]


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Does gc.disable() change the time of a step?"),
        costs=_("Without the collector a step takes longer: {change} ({us})."),
        saves=_("Without the collector a step changes by {change} ({us})."),
        equivalent=_("A step takes the same within {threshold}, with the collector or without: {change} ({us})."),
    )
    return [compare(evidence, "collector", "collector off", wording, key="collector")]


CLAIM = Claim(
    name="gc",
    belief=lambda: _("Switching off Python's garbage collector makes training faster."),
    prediction=lambda: _(
        "A step leaves few objects behind that refer to each other; most are freed by counting references, which "
        "gc.disable() does not change (Python's documentation of gc)."
    ),
    experiments=(
        # Longer samples, so that each has its share of collections.
        Experiment("collector", _arms, sample_s=0.01, rounds=7, narrow=narrow_ratio("collector off")),
    ),
    ask=_ask,
    conclude=belief_saves("collector"),
)
