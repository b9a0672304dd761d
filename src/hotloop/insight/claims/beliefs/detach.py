"""The claim that keeping loss.detach() and reading all of them at the end is faster."""

from __future__ import annotations

from functools import partial

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]

_AT_ONCE = "loss.item() at once"
_LATER = "loss.detach(), read at the end"


def _arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [Arm(_AT_ONCE, partial(_read_at_once, steps)), Arm(_LATER, partial(_read_later, steps))]


def _read_at_once(steps: Steps, n: int) -> list[float]:
    return [steps.step().item() for _ in range(n)]


def _read_later(steps: Steps, n: int) -> list[float]:
    import torch

    kept = [steps.step().detach() for _ in range(n)]
    read: list[float] = torch.stack(kept).tolist()
    return read


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Does keeping loss.detach() and reading all at the end save time?"),
        costs=_("Keeping loss.detach() takes longer, {change} of a step ({us}): a tensor is made for each loss."),
        saves=_("Keeping loss.detach() and reading at the end makes a step shorter: {change} ({us})."),
        equivalent=_("On the CPU both take the same within {threshold} of a step: {change} ({us}); nothing waits."),
    )
    return [compare(evidence, "reading", _LATER, wording, key="reading")]


CLAIM = Claim(
    name="detach",
    belief=lambda: _("loss.item() each step slows training down; keep loss.detach() and read at the end."),
    prediction=lambda: _(
        "On the CPU operations are done when they return, so there is nothing to wait for. On a GPU item() waits for "
        "the stream (at::_local_scalar_dense_cuda), and keeping tensors avoids that."
    ),
    experiments=(Experiment("reading", _arms, narrow=narrow_ratio(_LATER)),),
    ask=_ask,
    conclude=belief_saves("reading"),
)
