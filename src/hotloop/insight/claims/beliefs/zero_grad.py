"""The claim that zero_grad(set_to_none=True) makes training faster."""

from __future__ import annotations

from functools import partial

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]

_ZEROS, _NONE = "set_to_none=False", "set_to_none=True"


def _arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [Arm(_ZEROS, partial(_run, steps, False)), Arm(_NONE, partial(_run, steps, True))]


def _run(steps: Steps, set_to_none: bool, n: int) -> None:
    for _step in range(n):
        x, y = steps.next_batch()
        loss = steps.criterion(steps.model(x), y)
        steps.optimizer.zero_grad(set_to_none=set_to_none)
        loss.backward()
        steps.optimizer.step()


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Does set_to_none=True change the time of a step?"),
        costs=_("set_to_none=True takes longer: {change} of a step ({us})."),
        saves=_("set_to_none=True, the default of torch, changes a step by {change} ({us})."),
        equivalent=_("Both take the same within {threshold} of a step: {change} ({us})."),
    )
    return [compare(evidence, "gradients", _NONE, wording, key="gradients")]


CLAIM = Claim(
    name="zero-grad",
    belief=lambda: _("zero_grad(set_to_none=True) is faster than filling gradients with zeros."),
    prediction=lambda: _(
        "Zeros have to be written and then added to: two small operations more for each parameter, some microseconds "
        "each in eager torch (pytorch#41383)."
    ),
    experiments=(Experiment("gradients", _arms, narrow=narrow_ratio(_NONE)),),
    ask=_ask,
    conclude=belief_saves("gradients"),
)
