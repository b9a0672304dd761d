"""The four explanations that the lesson offers for the durations it saw, each tested by a measurement of its own.

1. The core compute dominates. 2. loss.item() is asynchronous. 3. list.append is O(1). 4. It is so small that noise
dominates. What is said about each depends on what is measured here.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hotloop.insight.claims.beliefs.append import asked_of_append
from hotloop.insight.claims.beliefs.gpu import no_gpu
from hotloop.insight.claims.claim import Asked, Experiment, Workbench
from hotloop.insight.claims.comparing import Wording, compare, narrow_ratio, not_tried, why_missing
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import figure, percent, seconds, us
from hotloop.insight.claims.steps import Steps
from hotloop.insight.interval import Interval
from hotloop.insight.measure import Arm, Measurements, difference, level, ratio, slope, spread
from hotloop.insight.statistics import Estimate
from hotloop.insight.verdict import Verdict, judge
from hotloop.language import _
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.engines.interface import Session
    from hotloop.insight.loop import Loop

__all__ = ["EXPERIMENTS", "ask"]

_EAGER = "a step in eager torch"
_ARITHMETIC = "its arithmetic at this core's peak"
_NATIVE = "the step, compiled"
_OLD, _OWN = "reading an old loss", "reading the step's own loss"
_QUIET, _READING = "no reading", "reading each step"
# Arithmetic and compiled steps are so short that each is done as many times.
_SHORT = 64
# The lesson recorded 200 losses in place of 10.
_MORE_RECORDS = 190


def _compute_arms(workbench: Workbench) -> list[Arm]:
    from hotloop.engines.choose import ENGINES

    loop = workbench.loop
    prepared = loop.prepare()
    arms = [Arm(_EAGER, Steps(loop).run), Arm(_ARITHMETIC, _arithmetic(loop), times=_SHORT)]
    if ENGINES["native"].refusal(prepared.task) is None:
        arms.append(Arm(_NATIVE, partial(_advance, loop.session(engine="native", threads=1)), times=_SHORT))
    return arms


def _advance(session: Session, n: int) -> None:
    session.advance(n, None)


def _arithmetic(loop: Loop) -> partial[None]:
    """Return a function that does the multiplications and additions of so many steps as fast as this core can."""
    from hotloop.compiler.target import host_target
    from hotloop.hardware.fma_loop import compile_fma_loop
    from hotloop.insight.claims.facts import step_flop

    fma = compile_fma_loop(host_target().vector_bits)
    flop = step_flop(loop)
    assert flop is not None, "_needs_flop has looked"
    return partial(_multiply_and_add, fma.run, flop / fma.flop_per_iteration)


def _multiply_and_add(run: object, turns: float, n: int) -> None:
    run(max(1, round(turns * n)))  # type: ignore[operator]


def _needs_flop(loop: Loop) -> str | None:
    from hotloop.insight.claims.facts import step_flop

    return None if step_flop(loop) else Sentence("how much arithmetic its layers do cannot be told")


def _item_arms(workbench: Workbench) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [Arm(_OLD, partial(_read_old, steps)), Arm(_OWN, partial(_read_own, steps))]


def _read_old(steps: Steps, n: int) -> None:
    old = steps.step()
    for _step in range(n - 1):
        steps.step()
        old.item()


def _read_own(steps: Steps, n: int) -> None:
    steps.step()
    for _step in range(n - 1):
        steps.step().item()


def _gpu_arms(workbench: Workbench) -> list[Arm]:
    from hotloop.hardware import available_accelerator

    device = available_accelerator() or "cpu"
    steps = Steps(workbench.loop, device=device)
    return [Arm(_QUIET, partial(_on_gpu, steps, device, False)), Arm(_READING, partial(_on_gpu, steps, device, True))]


def _on_gpu(steps: Steps, device: str, reading: bool, n: int) -> None:
    import torch

    for _step in range(n):
        loss = steps.step()
        if reading:
            loss.item()
    if device != "cpu":
        torch.accelerator.synchronize(device)


def _run_arms(workbench: Workbench) -> list[Arm]:
    """The plain loop, by the clock on the wall: what is asked is how much its speed differs from time to time."""
    return [Arm(_EAGER, Steps(workbench.loop).run)]


EXPERIMENTS = (
    Experiment("compute", _compute_arms, share=1.2, needs=_needs_flop, narrow=narrow_ratio(_ARITHMETIC, threshold=0.2)),
    Experiment("item", _item_arms, share=1.5, narrow=narrow_ratio(_OWN)),
    Experiment("runs", _run_arms, share=1.0, waits=True),
    Experiment("gpu", _gpu_arms, share=1.0, needs=no_gpu, waits=True, fresh=False, narrow=narrow_ratio(_READING)),
)


def ask(evidence: Evidence) -> list[Asked]:
    """Return the questions about the four explanations; needs the experiment "records"."""
    return [_compute(evidence), _asynchronous(evidence), *_on_a_gpu(evidence), _append(evidence), _noise(evidence)]


def _compute(evidence: Evidence) -> Asked:
    question = _('Explanation 1: "the core compute dominates"?')
    if "compute" not in evidence.measured:
        return not_tried(evidence, "compute", "compute", question)
    measured = evidence.measured["compute"]
    share = ratio(measured, _ARITHMETIC)
    found, step = share.exp().interval(), level(measured, _EAGER).interval()
    written = {
        "arithmetic": seconds(found.value * step.value * 1e-6),
        "share": percent(found),
        "step": us(step),
        "native": _native(measured, step),
    }
    texts = {
        Verdict.COSTS: _("Yes: arithmetic at this core's peak takes {share} of a step ({step})."),
        Verdict.SAVES: _(
            "No: at this core's peak the arithmetic of a step takes {arithmetic}, {share} of its {step}.{native} "
            "Telling torch what to do takes the time."
        ),
        Verdict.EQUIVALENT: _("Half: arithmetic at this core's peak takes {share} of a step ({step})."),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    # More than half of a step, give or take a tenth.
    half = Estimate(share.value - math.log(0.5), share.draws - math.log(0.5), share.n_blocks)
    finding = judge(half, math.log(1.1), measured)
    return Asked("compute", question, sentences, finding, found.times(100), 50.0, _("% of a step"))


def _native(measured: Measurements, step: Interval) -> str:
    """Return a sentence about the compiled step, with a space before it; nothing where there is none."""
    if _NATIVE not in measured.names:
        return ""
    native_us = level(measured, _NATIVE).value
    text = _("Compiled by hotloop, the whole step takes {native}, 1/{times} of it.")
    return " " + text.format(native=seconds(native_us * 1e-6), times=figure(step.value / native_us))


def _asynchronous(evidence: Evidence) -> Asked:
    wording = Wording(
        _('Explanation 2: "loss.item() is asynchronous"?'),
        costs=_(
            "No, it waits: reading the loss just computed takes longer than an old one, {change} of a step ({us})."
        ),
        saves=_("Reading the loss just computed takes less than an old one: {change} of a step ({us})."),
        equivalent=_(
            "No: on the CPU all is done when a step returns. Reading the loss just computed takes what reading an old "
            "one takes: {change} of a step ({us})."
        ),
    )
    return compare(evidence, "item", _OWN, wording, key="asynchronous")


def _on_a_gpu(evidence: Evidence) -> list[Asked]:
    question = _("And on a GPU?")
    if "gpu" not in evidence.measured:
        why = why_missing(evidence, "gpu")
        text = _("Not measured: {why}. By torch's source item() copies on the current stream and waits for it.")
        return [Asked("gpu", question, text.format(why=why))]
    wording = Wording(
        question,
        costs=_("Reading each step makes it longer: {change} ({us}). It waits for the stream."),
        saves=_("Reading each step makes it shorter: {change} ({us})."),
        equivalent=_("Reading each step changes it by less than {threshold}: {change} ({us})."),
    )
    return [compare(evidence, "gpu", _READING, wording, key="gpu")]


def _append(evidence: Evidence) -> Asked:
    line = us(slope(evidence.measured["records"], least=1).interval())
    sentences = {
        Verdict.COSTS: _("Not here: an append takes {short} at 10 entries and {long} at 1,000,000."),
        Verdict.SAVES: _("At least: an append takes {short} at 10 entries and {long} at 1,000,000."),
        Verdict.EQUIVALENT: _(
            "True: {short} at 10 entries, {long} at 1,000,000. It explains nothing: a constant cost predicts a "
            "straight line, and this is its slope: [line] a record, item() included."
        ),
    }
    asked = asked_of_append(evidence, {v: text.replace("[line]", line) for v, text in sentences.items()})
    return Asked(
        "append",
        _('Explanation 3: "list.append is O(1)"?'),
        asked.sentences,
        asked.finding,
        asked.effect,
        asked.threshold,
        asked.unit,
    )


def _noise(evidence: Evidence) -> Asked:
    """Compare what more records add to a run with how much two single runs differ by themselves."""
    question = _('Explanation 4: "the model is so small that noise dominates"?')
    if "runs" not in evidence.measured:
        return not_tried(evidence, "runs", "noise", question)
    runs, facts = evidence.measured["runs"], evidence.facts
    more = max(1, min(_MORE_RECORDS, facts.epochs - 10))
    run_us = level(runs, _EAGER).value * facts.subject.steps
    records = evidence.measured["records"]
    # Records of ten steps' distance and more: each is the only one of its step.
    cost, apart = difference(records, records.names[1]), spread(runs)
    # Of the difference of two runs: the root of two times that of one.
    differ = Estimate(math.sqrt(2) * apart.value, math.sqrt(2) * np.maximum(apart.draws, 1e-9), apart.n_blocks)
    added = Estimate(more * cost.value / run_us, more * cost.draws / run_us, cost.n_blocks)
    n_blocks = min(cost.n_blocks, apart.n_blocks)
    times = Estimate(added.value / max(differ.value, 1e-9), added.draws / differ.draws, n_blocks)
    most = max(abs(added.interval().low), abs(added.interval().high))
    written = {
        "more": more,
        "added": seconds(most * run_us * 1e-6),
        "share": figure(100 * most),
        "spread": percent(differ.interval()),
        "run": seconds(run_us * 1e-6),
    }
    texts = {
        Verdict.COSTS: _(
            "No: {more} records more add {added} to a run of {run}, more than two runs differ ({spread})."
        ),
        Verdict.SAVES: _(
            "No: with {more} records more a run takes {added} less, more than two runs differ ({spread})."
        ),
        Verdict.EQUIVALENT: _(
            "Near the truth: {more} records more, such as 200 in place of 10, add {added} at most to a run of {run}, "
            "{share} %; the speed of two single runs differs by {spread}. The effect drowns in that."
        ),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    finding = judge(times, 1.0, records)
    return Asked("noise", question, sentences, finding, times.interval(), 1.0, _("times the spread of two runs"))
