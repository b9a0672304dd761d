"""The break-even map: how many times faster the GPU is, over batch rows and hidden width, the line at 1 drawn in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from hotloop.insight.explanation import BreakEven
from hotloop.insight.interval import Interval
from hotloop.language import _
from hotloop.report.numbers import count, significant
from hotloop.report.svg import described, element, rect, text

__all__ = ["break_even_map", "is_inside", "is_uncertain"]

_CELL_WIDTH, _CELL_HEIGHT, _LEFT, _TOP, _BOTTOM = 72.0, 40.0, 76.0, 10.0, 46.0
_STRONGEST = 30.0  # a ratio from which on, either way, cells get no darker
_N_SHADES = 5

Point = tuple[float, float]


def is_uncertain(ratio: Interval) -> bool:
    """Say whether the forecast leaves open which of the two is faster."""
    return ratio.contains(1.0)


def is_inside(positions: Sequence[float], value: float) -> bool:
    """Say whether ``value`` lies within what an axis of the map shows."""
    return min(positions) <= value <= max(positions)


def break_even_map(answer: BreakEven) -> Markup:
    """Draw the map: widths to the right, rows downwards; hatched where the forecast does not decide."""
    width = _LEFT + _CELL_WIDTH * len(answer.widths) + 12
    height = _TOP + _CELL_HEIGHT * len(answer.rows) + _BOTTOM
    title = _("How many times faster the GPU is, over rows of a batch and hidden width")
    description = _("Cells above 1 favour {gpu}, below 1 {cpu}; hatched cells are undecided. The table holds the same.")
    return described(
        "map",
        title,
        description.format(gpu=answer.gpu[:80], cpu=answer.cpu[:80]),
        *_cells(answer),
        *_axes(answer, width),
        element("path", d=_contour(answer), class_="contour"),
        _here(answer),
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        class_="map",
    )


def _cells(answer: BreakEven) -> Iterator[Markup]:
    for i, ratios in enumerate(answer.ratio):
        for j, ratio in enumerate(ratios):
            x, y = _LEFT + j * _CELL_WIDTH, _TOP + i * _CELL_HEIGHT
            yield rect(x, y, _CELL_WIDTH, _CELL_HEIGHT, f"cell {_shade(ratio.value)}")
            if is_uncertain(ratio):
                yield element("path", d=_hatching(x, y), class_="hatching")
            number = significant(ratio.value, 2)
            yield text(x + _CELL_WIDTH - 6, y + _CELL_HEIGHT - 6, number, "ratio", text_anchor="end")


def _shade(ratio: float) -> str:
    """Name the class of a cell: "gpu1" to "gpu5" above 1, "cpu1" to "cpu5" below."""
    if not math.isfinite(ratio) or ratio <= 0:
        return "unknown"
    strength = min(1.0, abs(math.log(ratio)) / math.log(_STRONGEST))
    return f"{'gpu' if ratio >= 1 else 'cpu'}{1 + min(_N_SHADES - 1, int(strength * _N_SHADES))}"


def _hatching(x: float, y: float) -> str:
    """Return strokes from lower left to upper right that fill a cell."""
    strokes = []
    for offset in range(8, int(_CELL_WIDTH + _CELL_HEIGHT), 8):
        start = max(0.0, offset - _CELL_HEIGHT), min(float(offset), _CELL_HEIGHT)
        end = min(float(offset), _CELL_WIDTH), max(0.0, offset - _CELL_WIDTH)
        strokes.append(f"M{x + start[0]:.0f} {y + start[1]:.0f}L{x + end[0]:.0f} {y + end[1]:.0f}")
    return "".join(strokes)


def _axes(answer: BreakEven, width: float) -> Iterator[Markup]:
    bottom = _TOP + _CELL_HEIGHT * len(answer.rows)
    for i, n_rows in enumerate(answer.rows):
        yield text(_LEFT - 8, _TOP + (i + 0.5) * _CELL_HEIGHT, count(n_rows), text_anchor="end", dy="0.35em")
    for j, n_wide in enumerate(answer.widths):
        yield text(_LEFT + (j + 0.5) * _CELL_WIDTH, bottom + 18, count(n_wide), text_anchor="middle")
    yield text((_LEFT + width) / 2, bottom + 38, _("hidden width"), "label", text_anchor="middle")
    middle = (_TOP + bottom) / 2
    turned = f"rotate(-90 14 {middle:.0f})"
    yield text(14.0, middle, _("rows of a batch"), "label", text_anchor="middle", transform=turned)


def _centre(i: float, j: float) -> Point:
    return _LEFT + (j + 0.5) * _CELL_WIDTH, _TOP + (i + 0.5) * _CELL_HEIGHT


def _here(answer: BreakEven) -> Markup:
    """Mark where the subject stands; at the border where it lies beyond."""
    i, j = (_position(axis, value) for axis, value in zip((answer.rows, answer.widths), answer.here, strict=True))
    x, y = _centre(i, j)
    to_left = j > (len(answer.widths) - 1) / 2
    aside, anchor = (x - 12, "end") if to_left else (x + 12, "start")
    label = text(aside, y - 10, _("you are here"), "here", text_anchor=anchor)
    return element("circle", cx=x, cy=y, r=6, class_="here-dot") + label


def _position(positions: Sequence[float], value: float) -> float:
    """Return where ``value`` stands among ascending ``positions``, as an index with a fraction, logarithmically."""
    if value <= positions[0]:
        return 0.0
    for index in range(len(positions) - 1):
        low, high = positions[index], positions[index + 1]
        if value <= high:
            return index + math.log(value / low) / math.log(high / low)
    return float(len(positions) - 1)


def _contour(answer: BreakEven) -> str:
    """Return the line at ratio 1, straight within each square of four neighbouring cells' middles."""
    logs = [[math.log(one.value) if one.value > 0 else math.nan for one in ratios] for ratios in answer.ratio]
    parts = []
    for i in range(len(answer.rows) - 1):
        for j in range(len(answer.widths) - 1):
            corners = [(i, j), (i, j + 1), (i + 1, j + 1), (i + 1, j)]
            crossings = [
                _crossing(a, b, logs[a[0]][a[1]], logs[b[0]][b[1]])
                for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
                if (logs[a[0]][a[1]] < 0) != (logs[b[0]][b[1]] < 0)
            ]
            for start, end in zip(crossings[::2], crossings[1::2], strict=True):
                parts.append(f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}")
    return "".join(parts)


def _crossing(a: tuple[int, int], b: tuple[int, int], at_a: float, at_b: float) -> Point:
    share = at_a / (at_a - at_b)
    share = share if math.isfinite(share) else 0.5
    return _centre(a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]))
