"""The claim that model.forward(x) is faster than model(x)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.steps import Steps
from hotloop.insight.measure import Arm
from hotloop.language import _

__all__ = ["CLAIM"]


def _calls(workbench: Workbench) -> list[Arm]:
    """Forward passes alone, where a few nanoseconds show."""
    steps = Steps(workbench.loop)
    x, _y = steps.batches[0]
    return [
        Arm("model(x)", partial(_forward_only, steps.model, x)),
        Arm("model.forward(x)", partial(_forward_only, steps.model.forward, x)),
    ]


def _forward_only(call: Callable[..., Any], x: Any, n: int) -> None:
    import torch

    with torch.no_grad():
        for _step in range(n):
            call(x)


def _steps(workbench: Workbench) -> list[Arm]:
    """Whole training steps."""
    steps = Steps(workbench.loop)
    return [
        Arm("model(x)", partial(_train, steps, steps.model)),
        Arm("model.forward(x)", partial(_train, steps, steps.model.forward)),
    ]


def _train(steps: Steps, call: Callable[..., Any], n: int) -> None:
    for _step in range(n):
        x, y = steps.next_batch()
        steps.update(steps.criterion(call(x), y))


def _ask(evidence: Evidence) -> list[Asked]:
    step = Wording(
        _("Does model.forward(x) change the time of a training step?"),
        costs=_("With model.forward(x) a step takes longer: {change} ({us})."),
        saves=_("With model.forward(x) a step is faster: {change} ({us}). It skips the model's own hooks."),
        equivalent=_("A training step takes the same within {threshold}: {change} ({us})."),
    )
    call = Wording(
        _("And a forward pass by itself?"),
        costs=_("A forward pass by itself takes longer: {change} ({us})."),
        saves=_("A forward pass by itself is shorter: {us} ({change}), what looking for hooks of the module takes."),
        equivalent=_("Even a forward pass by itself takes the same within {threshold}: {us} ({change})."),
    )
    return [
        compare(evidence, "step", "model.forward(x)", step, key="step"),
        compare(evidence, "call", "model.forward(x)", call, key="call"),
    ]


CLAIM = Claim(
    name="forward",
    belief=lambda: _("model.forward(x) is faster than model(x)."),
    prediction=lambda: _(
        "Without hooks, model(x) looks for some and calls forward: well under a microsecond. model.forward(x) skips "
        "that for the outer module only; its layers still go through __call__ (torch/nn/modules/module.py)."
    ),
    experiments=(
        Experiment("step", _steps, share=2.0, narrow=narrow_ratio("model.forward(x)")),
        Experiment("call", _calls, narrow=narrow_ratio("model.forward(x)")),
    ),
    ask=_ask,
    conclude=belief_saves("step", ("call",)),
)
