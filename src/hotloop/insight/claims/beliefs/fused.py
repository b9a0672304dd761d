"""The claim that a fused optimizer is faster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["CLAIM"]

_SINGLE, _FOREACH, _FUSED = "one tensor after another", "foreach=True", "fused=True"


def _arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    kinds = ((_SINGLE, False, False), (_FOREACH, True, False), (_FUSED, False, True))
    return [Arm(name, steps.run, before=partial(_switch, steps, foreach, fused)) for name, foreach, fused in kinds]


def _switch(steps: Steps, foreach: bool, fused: bool) -> None:
    for group in steps.optimizer.param_groups:
        group["foreach"], group["fused"] = foreach, fused


def _needs(loop: Loop) -> str | None:
    if all("fused" in group for group in loop.optimizer.param_groups):
        return None
    return f"torch has no fused {type(loop.optimizer).__name__}"


def _ask(evidence: Evidence) -> list[Asked]:
    fused = Wording(
        _("Does fused=True save time against updating one tensor after another?"),
        costs=_("fused=True takes longer here: {change} of a step ({us})."),
        saves=_("fused=True changes a step by {change} ({us})."),
        equivalent=_("fused=True and one tensor after another take the same within {threshold}: {change} ({us})."),
    )
    foreach = Wording(
        _("And foreach=True?"),
        costs=_("foreach=True takes longer on this CPU: {change} of a step ({us})."),
        saves=_("foreach=True changes a step by {change} ({us})."),
        equivalent=_("foreach=True makes no difference beyond {threshold}: {change} ({us})."),
    )
    return [
        compare(evidence, "optimizer", _FUSED, fused, key="fused"),
        compare(evidence, "optimizer", _FOREACH, foreach, key="foreach"),
    ]


CLAIM = Claim(
    name="fused",
    belief=lambda: _("A fused optimizer makes training faster."),
    prediction=lambda: _(
        "By itself torch updates one tensor after another on the CPU, foreach is for GPUs (torch/optim/optimizer.py). "
        "With few small tensors a fused update saves some calls of a few microseconds each."
    ),
    experiments=(Experiment("optimizer", _arms, narrow=narrow_ratio(_FUSED, _FOREACH), needs=_needs),),
    ask=_ask,
    conclude=belief_saves("fused"),
)
