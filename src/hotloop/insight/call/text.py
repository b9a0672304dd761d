"""A call trace as text of 80 columns: a tree with order numbers, then ``model(x)`` against ``model.forward(x)``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from hotloop.insight.call.trace import CallTrace, Step, Timing, Value, Way
from hotloop.insight.interval import Interval
from hotloop.language import _

__all__ = ["as_text", "heading", "note_on", "origins", "timing_sentences", "title_of"]

_COLUMNS = 80
_LEAST_ORDER, _SHAPES, _COUNT, _US = 5, 20, 9, 8
_MOST_LINES = 36


@dataclass(frozen=True)
class _Lines:
    """What a tree is drawn with."""

    branch: str
    last: str
    down: str


_BOX = _Lines("├─ ", "└─ ", "│  ")
_ASCII = _Lines("|- ", "`- ", "|  ")


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
    columns = max(columns, 60)
    titles = ("", trace.call.expression, _("in -> out"), _("params"), "us", _("own us"))
    lines = [*_wrapped(heading(trace), columns), "", _row(columns, _room_for_order(trace.call), *titles)]
    lines += _tree(trace.call, _BOX if box else _ASCII, columns)
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


def _tree(way: Way, lines: _Lines, columns: int) -> list[str]:
    """Draw the steps, down to the depth at which they fit on a screen."""
    children: dict[int, list[Step]] = {}
    for step in way.steps:
        children.setdefault(step.parent, []).append(step)
    deepest = max((step.depth for step in way.steps), default=0)
    drawn: list[_Branch] = []
    for depth in range(deepest, 1, -1):
        drawn = list(_branches(children, 0, "", lines, depth))
        if len(drawn) <= _MOST_LINES:
            break
    drawn = (drawn or list(_branches(children, 0, "", lines, deepest)))[:_MOST_LINES]
    raised, room = origins(way.steps), _room_for_order(way)
    rows = [_row(columns, room, *branch.cells(branch.shown.order in raised)) for branch in drawn]
    hidden = len(way.steps) - sum(1 + (branch.shown is not branch.step) for branch in drawn)
    if hidden:
        rows += ["", *_wrapped(_("{n} more steps are not shown; the JSON holds all.").format(n=hidden), columns)]
    return rows


def _room_for_order(way: Way) -> int:
    digits = len(str(len(way.steps)))
    return max(_LEAST_ORDER, 2 * digits + 1)


@dataclass(frozen=True)
class _Branch:
    """A line of the tree: a step, and the one whose values are shown with it, which is itself or its forward."""

    order: str
    prefix: str
    step: Step
    shown: Step

    def cells(self, is_origin: bool) -> tuple[str, str, str, str, str, str]:
        label = self.prefix + _label(self.step, is_origin)
        return self.order, label, _shapes(self.shown), *_figures(self.step, self.shown)


def _branches(
    children: dict[int, list[Step]], parent: int, prefix: str, lines: _Lines, depth: int
) -> Iterator[_Branch]:
    steps = children.get(parent, [])
    for step in steps:
        within = children.get(step.order, [])
        order, shown = str(step.order), step
        # A call that runs nothing but forward takes one line.
        if step.kind == "call" and len(within) == 1 and within[0].kind == "forward":
            shown = within[0]
            order = f"{step.order}-{shown.order}"
        turn, down = (lines.last, "   ") if step is steps[-1] else (lines.branch, lines.down)
        if parent == 0:
            turn, down = "", ""
        yield _Branch(order, prefix + turn, step, shown)
        if shown.depth < depth:
            yield from _branches(children, shown.order, prefix + down, lines, depth)


def title_of(step: Step) -> str:
    """Return what a step is, in the reader's language."""
    path = step.module or step.module_class
    titles = {
        "call": _("{path} {module_class}") if step.module else "{path}",
        "compiled call": _("{path}, compiled by torch.compile"),
        "collect backward pre-hooks": _("collect backward pre-hooks"),
        "collect backward hooks": _("collect backward hooks"),
        "global pre-hook": _("pre-hook of all modules {hooks}"),
        "pre-hook": _("pre-hook {hooks}"),
        "backward input set-up": _("set up backward hooks on inputs"),
        "forward": _("{path}.forward called directly") if step.direct else _("forward"),
        "global forward hook": _("forward hook of all modules {hooks}"),
        "forward hook": _("forward hook {hooks}"),
        "backward output set-up": _("set up backward hooks on outputs"),
        "legacy backward hook": _("old-style backward hook {hooks}"),
    }
    hooks = ", ".join(step.hooks)
    return titles[step.kind].format(path=path, module_class=step.module_class, hooks=hooks)


def origins(steps: tuple[Step, ...]) -> set[int]:
    """Return the orders of the steps that an exception came from, without those that it passed through."""
    raised = {step.order for step in steps if step.raised}
    return raised - {step.parent for step in steps if step.raised}


def note_on(step: Step, is_origin: bool) -> str:
    """Return what is special about a step, or an empty string; ``is_origin`` of an exception."""
    replaces = _("replaces the arguments") if step.kind.endswith("pre-hook") else _("replaces the output")
    parts = [
        replaces if step.replaced else "",
        _("although an exception was raised") if step.after_exception else "",
        _("no tensor there needs a gradient") if not step.attached else "",
        _("raised {error}").format(error=step.raised.split(":")[0]) if step.raised and is_origin else "",
    ]
    return "; ".join(part for part in parts if part)


def _label(step: Step, is_origin: bool) -> str:
    note = note_on(step, is_origin)
    return f"{title_of(step)} ({note})" if note else title_of(step)


def _shapes(step: Step) -> str:
    if step.kind not in ("call", "compiled call", "forward"):
        return ""
    return f"{_shape(step.inputs)} -> {_shape(step.outputs) if step.outputs else '?'}"


def _shape(values: tuple[Value, ...]) -> str:
    tensors = [value for value in values if value.shape is not None]
    if not tensors:
        return values[0].type if values else "()"
    shape = ",".join(map(str, tensors[0].shape or ())) or "()"
    return shape if len(values) == 1 else f"{shape} +{len(values) - 1}"


def _figures(step: Step, shown: Step) -> tuple[str, str, str]:
    count = f"{step.parameters:,}" if step.kind in ("call", "compiled call") and step.parameters else ""
    own_us = step.own_us if shown is step else min(step.us, step.own_us + shown.own_us)
    return count, _us(step.us), _us(own_us)


def _us(us: float) -> str:
    return f"{us:,.1f}" if us < 1000 else f"{us:,.0f}"


def _row(columns: int, order_room: int, order: str, label: str, shapes: str, count: str, us: str, own_us: str) -> str:
    """Lay out one line; a label without shapes beside it may take their place."""
    room = columns - order_room - 1 - _COUNT - 2 * _US
    if shapes:
        shapes_room = max(_SHAPES, min(cell_len(shapes) + 1, room - cell_len(label) - 1))
        middle = _fitted(label, room - shapes_room - 1) + " " + _fitted(shapes, shapes_room)
    else:
        middle = _fitted(label, room)
    return f"{order:>{order_room}} {middle}{_right(count, _COUNT)}{us:>{_US}}{own_us:>{_US}}"


def _right(text: str, room: int) -> str:
    return " " * (room - cell_len(text)) + text


def _fitted(text: str, room: int) -> str:
    """Return text that takes exactly so many cells."""
    return set_cell_size(text, room) if cell_len(text) <= room else set_cell_size(text, room - 2) + ".."


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
        _("Recording added {observer} to a call; the times of the steps still hold a part of it.").format(
            observer=_ns(timing.observer_ns)
        ),
    ]


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
    unit, scale = ("ns", 1.0) if abs(interval.value) < 1e4 else ("us", 1e-3)
    value, low, high = (_rounded(bound * scale) for bound in (interval.value, interval.low, interval.high))
    return f"{value} {unit} [{low}, {high}]"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
