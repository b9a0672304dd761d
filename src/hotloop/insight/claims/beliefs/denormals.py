"""The claim that flushing denormal numbers to zero makes training faster."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["CLAIM"]

_KEPT, _FLUSHED = "denormals kept", "flushed to zero"
_NORMAL, _DENORMAL = "a product of normal numbers", "of denormal numbers"


def _arms(workbench: Workbench) -> list[Arm]:
    import torch

    steps = Steps(workbench.loop)
    workbench.afterwards.callback(torch.set_flush_denormal, False)
    return [
        Arm(_KEPT, steps.run, before=partial(torch.set_flush_denormal, False)),
        Arm(_FLUSHED, steps.run, before=partial(torch.set_flush_denormal, True)),
    ]


def _products(workbench: Workbench) -> list[Arm]:
    """What denormal numbers would cost if there were any: 1e-20 squared is one."""
    import torch

    tiny, one = torch.full((64, 64), 1e-20), torch.full((64, 64), 1.0)
    return [Arm(_NORMAL, partial(_multiply, tiny, one)), Arm(_DENORMAL, partial(_multiply, tiny, tiny))]


def _multiply(a: Any, b: Any, n: int) -> None:
    import torch

    product = torch.empty_like(a)
    for _step in range(n):
        torch.mul(a, b, out=product)


def _needs(loop: Loop) -> str | None:
    import torch

    can = torch.set_flush_denormal(True)
    torch.set_flush_denormal(False)
    return None if can else Sentence("torch cannot flush denormal numbers on this processor")


def _ask(evidence: Evidence) -> list[Asked]:
    step = Wording(
        _("Does torch.set_flush_denormal(True) change the time of this loop's first steps?"),
        costs=_("With denormal numbers flushed a step takes longer: {change} ({us})."),
        saves=_("With denormal numbers flushed a step changes by {change} ({us})."),
        equivalent=_(
            "A step takes the same within {threshold}, flushed or not: {change} ({us}). This loop's first steps meet "
            "no denormal numbers that matter; a run that has converged for long may."
        ),
    )
    product = Wording(
        _("What would they cost where there are some?"),
        costs=_("Multiplying 64 x 64 numbers into denormal ones takes longer on this processor: {change} ({us})."),
        saves=_("Multiplying 64 x 64 numbers into denormal ones changes by {change} ({us})."),
        equivalent=_(
            "Multiplying 64 x 64 numbers takes the same within {threshold} on this processor: {change} ({us})."
        ),
    )
    return [
        compare(evidence, "flushing", _FLUSHED, step, key="step"),
        compare(evidence, "product", _DENORMAL, product, key="product", threshold=0.05),
    ]


CLAIM = Claim(
    name="denormals",
    belief=lambda: _("torch.set_flush_denormal(True) makes training faster."),
    prediction=lambda: _(
        "Only where there are denormal numbers (below 1e-38): operations on them were reported 40 to 50 times slower "
        "(pytorch#21734, #19651). Losses and weights of usual size meet none."
    ),
    experiments=(
        Experiment("flushing", _arms, share=3.0, needs=_needs, narrow=narrow_ratio(_FLUSHED)),
        Experiment("product", _products, sample_s=0.002, narrow=narrow_ratio(_DENORMAL, threshold=0.05)),
    ),
    ask=_ask,
    conclude=belief_saves("step", ("product",)),
)
