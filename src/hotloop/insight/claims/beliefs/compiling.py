"""The claim that torch.compile helps here."""

from __future__ import annotations

import os
import shutil
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, belief_saves, compare, narrow_ratio, not_tried
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import figure, seconds
from hotloop.insight.claims.steps import Steps
from hotloop.insight.interval import Interval
from hotloop.insight.measure import Arm, difference
from hotloop.insight.verdict import Verdict, judge
from hotloop.language import _
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["CLAIM"]

_EAGER, _COMPILED = "eager", "torch.compile(model)"
_COMPILERS = ("g++", "clang++", "c++", "cl")


def _arms(workbench: Workbench) -> list[Arm]:
    import torch
    import torch._inductor.config

    # Kept code would hide what compiling takes the first time, and processes that compile would outlive this one.
    torch._inductor.config.force_disable_caches = True
    torch._inductor.config.compile_threads = 1
    eager, compiled = Steps(workbench.loop), Steps(workbench.loop)
    model = torch.compile(compiled.model)
    started_s = time.perf_counter()
    # A last batch of another size is compiled anew.
    sizes = {len(x): (x, y) for x, y in compiled.batches}
    for x, y in [*sizes.values(), *sizes.values()]:
        compiled.update(compiled.criterion(model(x), y))
    workbench.figures["compile_s"] = time.perf_counter() - started_s
    return [Arm(_EAGER, eager.run), Arm(_COMPILED, partial(_run, compiled, model))]


def _run(steps: Steps, model: Any, n: int) -> None:
    for _step in range(n):
        x, y = steps.next_batch()
        steps.update(steps.criterion(model(x), y))


def _needs(loop: Loop) -> str | None:
    named = os.environ.get("CXX")
    if any(shutil.which(name) for name in (named, *_COMPILERS) if name):
        return None
    return Sentence("torch.compile needs a C++ compiler on the CPU, and none was found")


def _ask(evidence: Evidence) -> list[Asked]:
    wording = Wording(
        _("Is a step faster once the model is compiled?"),
        costs=_("Compiled, a step takes longer: {change} ({us})."),
        saves=_("Compiled, a step is faster: {change} ({us})."),
        equivalent=_("Compiled or not, a step takes the same within {threshold}: {change} ({us})."),
    )
    return [compare(evidence, "compiled", _COMPILED, wording, key="step"), _break_even(evidence)]


def _break_even(evidence: Evidence) -> Asked:
    """Ask about the whole run: compiling, and then all of its steps."""
    question = _("Does the whole run end sooner, compiling included?")
    compile_s = evidence.figures.get("compile_s")
    if "compiled" not in evidence.measured or compile_s is None:
        return not_tried(evidence, "compiled", "run", question)
    measured, steps = evidence.measured["compiled"], evidence.facts.subject.steps
    by = difference(measured, _COMPILED)
    us = by.interval()
    whole_s = Interval(*(bound * steps * 1e-6 + compile_s for bound in (us.low, us.value, us.high)))
    # Beyond what compiling takes, per step; a hundredth of it is what counts.
    share_us = compile_s * 1e6 / steps
    finding = judge(type(by)(by.value + share_us, by.draws + share_us, by.n_blocks), share_us / 100, measured)
    text = _("won back after {n} steps")
    won_back = text.format(n=figure(compile_s * 1e6 / -us.value)) if us.value < 0 else _("never won back")
    written = {
        "compile": seconds(compile_s),
        "steps": f"{steps:,}",
        "back": won_back,
        "whole": seconds(abs(whole_s.value)),
    }
    texts = {
        Verdict.COSTS: _("No: compiling takes {compile}, {back}; this run has {steps}: {whole} lost."),
        Verdict.SAVES: _("Yes: compiling takes {compile}, {back}; this run has {steps}: {whole} won."),
        Verdict.EQUIVALENT: _("Neither: compiling takes {compile}, and {steps} steps just win it back."),
    }
    said = {verdict: text.format(**written) for verdict, text in texts.items()}
    return Asked("run", question, said, finding, whole_s, compile_s / 100, "s")


CLAIM = Claim(
    name="compile",
    belief=lambda: _("torch.compile makes training faster."),
    prediction=lambda: _(
        "Compiling takes seconds to minutes (34 s for a simple loop, pytorch#111441). It fuses operations, but leaves "
        "the loop, the optimizer and the way into each call to Python."
    ),
    # In one process: each would have to compile anew.
    experiments=(Experiment("compiled", _arms, needs=_needs, waits=True, fresh=False, narrow=narrow_ratio(_COMPILED)),),
    ask=_ask,
    conclude=belief_saves("step", ("run",)),
)
