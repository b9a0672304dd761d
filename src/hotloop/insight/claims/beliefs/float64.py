"""The claim that training in float32 is faster than in float64."""

from __future__ import annotations

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]


def _arms(workbench: Workbench) -> list[Arm]:
    import torch

    return [
        Arm("float64", Steps(workbench.loop, dtype=torch.float64).run),
        Arm("float32", Steps(workbench.loop, dtype=torch.float32).run),
    ]


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Does float32 save time against float64?"),
        costs=_("A step in float32 takes longer than in float64: {change} ({us})."),
        saves=_("Against float64, a step in float32 changes by {change} ({us}); half of the time would be -50%."),
        equivalent=_(
            "A step takes the same in both within {threshold}: {change} ({us}). Its time does not go into arithmetic."
        ),
    )
    return [compare(evidence, "precision", "float32", wording, key="precision")]


CLAIM = Claim(
    name="float64",
    belief=lambda: _("Training in float32 is faster than in float64."),
    prediction=lambda: _(
        "A vector instruction works on twice as many float32 numbers, so arithmetic takes half; but where dispatch "
        "takes the time, some microseconds for each operation of torch, precision changes little (pytorch#41383)."
    ),
    experiments=(Experiment("precision", _arms, narrow=narrow_ratio("float32")),),
    ask=_ask,
    conclude=belief_saves("precision"),
)
