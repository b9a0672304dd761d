"""The claim that mixed precision makes training on this CPU faster."""

from __future__ import annotations

from functools import partial

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]


def _arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [Arm("float32", steps.run), Arm("autocast", partial(_run, steps))]


def _run(steps: Steps, n: int) -> None:
    import torch

    for _step in range(n):
        x, y = steps.next_batch()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = steps.criterion(steps.model(x), y)
        steps.update(loss)


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Does torch.autocast to bfloat16 change the time of a step?"),
        costs=_("Under autocast a step takes longer: {change} ({us}), what converting there and back takes."),
        saves=_("Under autocast a step changes by {change} ({us})."),
        equivalent=_("With autocast and without, a step takes the same within {threshold}: {change} ({us})."),
    )
    return [compare(evidence, "autocast", "autocast", wording)]


CLAIM = Claim(
    name="autocast",
    belief=lambda: _("Mixed precision (torch.autocast) makes training faster."),
    prediction=lambda: _(
        "autocast adds operations that convert weights and results, some microseconds each (pytorch#41383). They pay "
        "where multiplying in bfloat16 saves more, which takes wide layers and a CPU with instructions for it."
    ),
    experiments=(Experiment("autocast", _arms, narrow=narrow_ratio("autocast")),),
    ask=_ask,
    conclude=belief_saves("autocast"),
)
