"""The steps of a call as a tree: order numbers, names, shapes, parameters, times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from hotloop.insight.call.steps_in_words import note_on, origins, title_of
from hotloop.insight.call.trace import Step, Value, Way
from hotloop.language import _

__all__ = ["draw_tree"]

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


def draw_tree(way: Way, *, box: bool, columns: int) -> list[str]:
    """Return a heading and a line for each step, down to the depth at which they fit on a screen.

    Parameters
    ----------
    way : Way
    box : bool
        Draw with box characters; else with ASCII alone.
    columns : int
        Width of a line.
    """
    lines = _BOX if box else _ASCII
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
    titles = ("", way.expression, _("in -> out"), _("params"), "us", _("own us"))
    rows = [_row(columns, room, *titles)]
    rows += [_row(columns, room, *branch.cells(branch.shown.order in raised)) for branch in drawn]
    hidden = len(way.steps) - sum(1 + (branch.shown is not branch.step) for branch in drawn)
    if hidden:
        rows += ["", _("{n} more steps are not shown; the JSON holds all.").format(n=hidden)]
    return rows


def _room_for_order(way: Way) -> int:
    digits = len(str(len(way.steps)))
    return max(_LEAST_ORDER, 2 * digits + 1)


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
        needed = min(cell_len(shapes) + 1, room // 2)
        shapes_room = max(needed, min(_SHAPES, room - cell_len(label) - 1))
        middle = _fitted(label, room - shapes_room - 1) + " " + _fitted(shapes, shapes_room)
    else:
        middle = _fitted(label, room)
    return f"{order:>{order_room}} {middle}{_right(count, _COUNT)}{us:>{_US}}{own_us:>{_US}}"


def _right(text: str, room: int) -> str:
    return " " * (room - cell_len(text)) + text


def _fitted(text: str, room: int) -> str:
    """Return text that takes exactly so many cells."""
    return set_cell_size(text, room) if cell_len(text) <= room else set_cell_size(text, room - 2) + ".."
