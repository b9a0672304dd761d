"""A call trace as text of 80 columns: a tree with order numbers, then ``model(x)`` against ``model.forward(x)``."""

from __future__ import annotations

import textwrap

from rich.cells import set_cell_size

from hotloop.insight.call.trace import CallTrace, Timing
from hotloop.insight.call.tree import draw_tree
from hotloop.insight.interval import Interval
from hotloop.language import _

__all__ = ["as_text", "heading", "timing_sentences"]

_COLUMNS, _FEWEST_COLUMNS = 80, 60


def as_text(trace: CallTrace, *, box: bool = True, columns: int = _COLUMNS) -> str:
    """Return the trace as text.

    Parameters
    ----------
    trace : CallTrace
    box : bool
        Draw the tree with box characters; else with ASCII alone.
    columns : int
        Width of a line; at least 60.
    """
    columns = max(columns, _FEWEST_COLUMNS)
    lines = [*_wrapped(heading(trace), columns), "", *draw_tree(trace.call, box=box, columns=columns)]
    if trace.call.raised:
        lines += ["", *_wrapped(_("It ended in an exception: {error}").format(error=trace.call.raised), columns)]
    lines += ["", *_comparison(trace, columns)]
    return "\n".join(line.rstrip() for line in lines)


def heading(trace: CallTrace) -> str:
    """Return what was called, and how it stood."""
    root = trace.call.steps[0] if trace.call.steps else None
    parts = [
        trace.model,
        _("{n} parameters").format(n=f"{root.parameters:,}") if root else "",
        _("on {device}").format(device=root.device) if root and root.device else "",
        _("training mode") if trace.training else _("evaluation mode"),
        "" if trace.gradients else _("gradients off"),
        f"torch {trace.torch_version}",
    ]
    return ", ".join(part for part in parts if part)


def _comparison(trace: CallTrace, columns: int) -> list[str]:
    lost = [difference.sentence for difference in trace.differences if difference.lost or difference.key == "nothing"]
    kept = [difference.sentence for difference in trace.differences if difference.sentence not in lost]
    raised = trace.forward.raised if trace.forward.raised != trace.call.raised else None
    return [
        _("model.forward(x) instead of model(x)"),
        *_section(_("loses"), lost, columns),
        *_section(_("keeps"), kept, columns),
        *_section(_("raises"), [raised] if raised else [], columns),
        *_section(_("costs"), timing_sentences(trace), columns),
    ]


def _section(label: str, sentences: list[str], columns: int) -> list[str]:
    lines: list[str] = []
    for sentence in sentences:
        first = "  " + set_cell_size("" if lines else label, 7)
        lines += _wrapped(sentence, columns, first, " " * 9)
    return lines


def _wrapped(text: str, columns: int, first: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(text, columns, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


def timing_sentences(trace: CallTrace) -> list[str]:
    """Return what the two ways take, what recording adds, and whether the machine allows saying so."""
    if trace.timing is None:
        return [_("Not measured: {why}.").format(why=trace.untimed)]
    timing = trace.timing
    return [
        _("model(x) takes {call}, model.forward(x) {forward}.").format(
            call=_ns(timing.call_ns), forward=_ns(timing.forward_ns)
        ),
        _conclusion(timing),
        _observer(timing).format(observer=_ns(timing.observer_ns)),
    ]


def _observer(timing: Timing) -> str:
    if timing.observer_ns.contains(0):
        return _("What recording added to a call cannot be told: {observer}.")
    return _("Recording added {observer} to a call; the times of the steps still hold a part of it.")


def _conclusion(timing: Timing) -> str:
    if timing.restless:
        return _("This machine was too restless to compare them: model(x) differed from itself.")
    difference = timing.difference_ns
    if difference.contains(0):
        return _("Which is faster cannot be told: the difference is {difference}.").format(difference=_ns(difference))
    share = abs(difference.value) / timing.call_ns.value
    if difference.low > 0:
        text = _("So __call__ and what it runs besides forward costs {difference}, {share:.1%} of the call.")
    else:
        text = _("So model.forward(x) takes longer, by {difference}, {share:.1%} of the call.")
        difference = difference.times(-1)
    return text.format(difference=_ns(difference), share=share)


def _ns(interval: Interval) -> str:
    """Return a figure with its bounds, in ns or us."""
    unit, scale = ("ns", 1.0) if max(abs(interval.low), abs(interval.high)) < 1e4 else ("us", 1e-3)
    value, low, high = (_rounded(bound * scale) for bound in (interval.value, interval.low, interval.high))
    return f"{value} {unit} [{low}, {high}]"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
