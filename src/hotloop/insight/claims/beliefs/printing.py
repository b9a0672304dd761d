"""The claim that printing the loss slows training down."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hotloop.insight.claims.claim import Asked, Claim, Experiment, Workbench
from hotloop.insight.claims.comparing import LEAST_COST_US, THRESHOLD, belief_costs, not_tried
from hotloop.insight.claims.evidence import Evidence
from hotloop.insight.claims.figures import a_step, percent, seconds, us
from hotloop.insight.claims.steps import Steps
from hotloop.insight.interval import Interval
from hotloop.insight.measure import Arm, Measurements, difference, level, slope
from hotloop.insight.statistics import Estimate
from hotloop.insight.verdict import Verdict, judge, narrow_enough
from hotloop.language import _
from hotloop.sentence import Sentence

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["CLAIM", "LEVELS", "print_lines"]

LEVELS = (0, 1, 2, 4, 8)
ONE = a_step(1, "line")
"""The arm that does what a loop does which prints each step."""

# The lesson prints a line every 1,000 epochs of 20,000.
_LINES_OF_A_RUN = 20


def _to_nowhere(workbench: Workbench) -> list[Arm]:
    """Write to the null device a line at a time: what Python and the call of the system take."""
    out = Path(os.devnull).open("w", buffering=1, encoding="utf-8")  # noqa: SIM115, open for as long as the block
    workbench.afterwards.callback(out.close)
    return _arms(workbench, out)


def _to_terminal(workbench: Workbench) -> list[Arm]:
    """Write to a pseudo-terminal whose other end is read by another process, which draws nothing."""
    ours, theirs = os.openpty()
    reader = subprocess.Popen(["cat"], stdin=ours, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(ours)
    out = os.fdopen(theirs, "w", buffering=1, encoding="utf-8")
    # In the order from the last to the first: closing our end lets the reader end.
    workbench.afterwards.callback(reader.wait)
    workbench.afterwards.callback(out.close)
    return _arms(workbench, out)


def _arms(workbench: Workbench, out: IO[str]) -> list[Arm]:
    steps = Steps(workbench.loop)
    return [Arm(a_step(m, "line"), partial(print_lines, steps, out, m), m) for m in LEVELS]


def print_lines(steps: Steps, out: IO[str], lines: int, n: int) -> None:
    """Do steps, and print the loss so many times after each."""
    for epoch in range(n):
        loss = steps.step()
        for _line in range(lines):
            print(f"Epoch [{epoch + 1}/{n}], Loss: {loss.item():.4f}", file=out)


def _needs_terminal(loop: Loop) -> str | None:
    if hasattr(os, "openpty") and shutil.which("cat"):
        return None
    return Sentence("this system has no pseudo-terminals")


def _ask(evidence: Evidence) -> list[Asked]:
    return [
        _cost_of_a_line(evidence, "nowhere", "line", _("Does printing a line take time?"), _("to the null device")),
        _cost_of_a_line(evidence, "terminal", "terminal", _("And to a terminal?"), _("to a pseudo-terminal")),
        _whole_run(evidence),
    ]


def _cost_of_a_line(evidence: Evidence, experiment: str, key: str, question: str, where: str) -> Asked:
    if experiment not in evidence.measured:
        return not_tried(evidence, experiment, key, question)
    measured = evidence.measured[experiment]
    # Lines that follow at once find everything in the caches; a loop prints one, and then does a step.
    line, more, step = difference(measured, ONE), slope(measured, least=1), level(measured, measured.names[0])
    written = {"line": us(line.interval()), "more": us(more.interval()), "where": where, "step": us(step.interval())}
    texts = {
        Verdict.COSTS: _("A line {where} takes {line}, beside {step} for a step; each more in the same step {more}."),
        Verdict.SAVES: _("A step with a line {where} took less: {line}, beside {step} for a step."),
        Verdict.EQUIVALENT: _("No cost was found: {line} a line {where}, less than calling an empty function."),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    finding = judge(line, LEAST_COST_US, measured)
    return Asked(key, question, sentences, finding, line.interval(), LEAST_COST_US, _("us a line"))


def _whole_run(evidence: Evidence) -> Asked:
    """Ask about as many lines as the lesson prints."""
    question = _("Does it matter for a whole run?")
    experiment = "terminal" if "terminal" in evidence.measured else "nowhere"
    if experiment not in evidence.measured:
        return not_tried(evidence, experiment, "run", question)
    measured, subject = evidence.measured[experiment], evidence.facts.subject
    lines = min(_LINES_OF_A_RUN, evidence.facts.epochs)
    line, run_us = difference(measured, ONE), level(measured, measured.names[0]).value * subject.steps
    share = Estimate(lines * line.value / run_us, lines * line.draws / run_us, line.n_blocks)
    found = share.interval()
    added = Interval(found.low, found.value, found.high).times(run_us * 1e-6)
    written = {
        "lines": lines,
        "added": seconds(added.value),
        "run": seconds(run_us * 1e-6),
        "share": percent(found),
    }
    texts = {
        Verdict.COSTS: _("{lines} lines add {added} to a run of {run}: {share}."),
        Verdict.SAVES: _("{lines} lines take {added} off a run of {run}: {share}."),
        Verdict.EQUIVALENT: _(
            "{lines} lines add {added} to a run of {run}: {share}. A terminal that draws is not in it."
        ),
    }
    sentences = {verdict: text.format(**written) for verdict, text in texts.items()}
    finding = judge(share, THRESHOLD, measured)
    return Asked("run", question, sentences, finding, found.times(100), 100 * THRESHOLD, "%")


def _known_to_a_tenth(measured: Measurements) -> bool:
    return narrow_enough(_first_line, abs(_first_line(measured).value) / 5)(measured)


def _first_line(measured: Measurements) -> Estimate:
    return difference(measured, ONE)


CLAIM = Claim(
    name="printing",
    belief=lambda: _("Printing the loss slows training down."),
    prediction=lambda: _(
        "A line takes a call of the system, some microseconds, and the terminal's time to draw it. A line each epoch "
        "adds up; a line every 1,000 epochs does not (Lightning#3393 is about logging each step)."
    ),
    experiments=(
        Experiment("nowhere", _to_nowhere, narrow=_known_to_a_tenth),
        Experiment("terminal", _to_terminal, needs=_needs_terminal, waits=True, narrow=_known_to_a_tenth),
    ),
    ask=_ask,
    conclude=belief_costs("run", ("terminal",)),
)
