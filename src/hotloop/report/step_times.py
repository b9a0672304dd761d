"""Time of a step by contender and workload as a picture: bars on a logarithmic axis, a panel for each workload.

Given plain data, so that whoever measures may stand above this folder.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotloop.language import Sentence, wrap
from hotloop.report.drawing import Words, drawing
from hotloop.report.loss_curve import DOTS_PER_INCH, GRID, INK
from hotloop.report.series import TRAINING_COLOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Bar", "Panel", "draw", "to_png"]

OURS_COLOUR, OTHERS_COLOUR, FLOOR_COLOUR = TRAINING_COLOUR, "#B8C4CE", "#D55E00"
MUTED, FAINT = "#777777", "#AAAAAA"
_MOST_COLUMNS = 3
_SUBTITLE_COLUMNS = 62
_PANEL_WIDTH_INCHES, _BAR_INCHES, _FRAME_INCHES = 5.0, 0.27, 1.05


@dataclass(frozen=True)
class Bar:
    """One contender.

    Parameters
    ----------
    name : str
    us : float
        Microseconds a step.
    low_us, high_us : float
        Shortest and longest round.
    is_ours : bool
        Drawn in colour.
    """

    name: str
    us: float
    low_us: float
    high_us: float
    is_ours: bool = False


@dataclass(frozen=True)
class Panel:
    """One workload.

    Parameters
    ----------
    title, subtitle : str
    bars : sequence of Bar
    floor_us : float or None
        What the arithmetic alone would take; a line.
    """

    title: str
    subtitle: str
    bars: Sequence[Bar]
    floor_us: float | None


def draw(panels: Sequence[Panel], names: Sequence[str], conditions: str) -> Figure:
    """Return the picture.

    Parameters
    ----------
    panels : sequence of Panel
        At least one.
    names : sequence of str
        Contenders from top to bottom; those that no panel has are left out.
    conditions : str
        A line under the panels: machine, versions, date.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(_MOST_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    names = [name for name in names if any(name == bar.name for panel in panels for bar in panel.bars)]
    height = rows * (_FRAME_INCHES + _BAR_INCHES * max(1, len(names))) + 0.7
    width = max(8.0, _PANEL_WIDTH_INCHES * columns)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1, hspace=0.04, wspace=0.03)
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    words = Words()
    title = words.say(Sentence("Microseconds a training step, median; shorter is faster"))
    figure.suptitle(title, fontsize=14, color=INK, **words.family)
    figure.supxlabel(words.say(conditions), fontsize=8.5, color=MUTED, parse_math=False, **words.family)
    limits = _limits(panels)
    for place, panel in enumerate(panels):
        _draw_panel(figure.add_subplot(rows, columns, place + 1), words, panel, names, limits)
    return figure


def to_png(panels: Sequence[Panel], names: Sequence[str], conditions: str) -> bytes:
    """Return the picture as PNG; parameters are those of :func:`draw`.

    Raises
    ------
    OutputError
        matplotlib cannot be used as it is installed or set up.
    """
    with drawing(Sentence("the step times")):
        image = io.BytesIO()
        draw(panels, names, conditions).savefig(image, format="png")
        return image.getvalue()


def _limits(panels: Sequence[Panel]) -> tuple[float, float]:
    """Return the ends of the axis, the same for all panels: whole decades, with room for the figures."""
    shown = [us for panel in panels for bar in panel.bars for us in (bar.low_us, bar.high_us)]
    shown += [panel.floor_us for panel in panels if panel.floor_us]
    if not shown:
        return 0.1, 10.0
    low, high = math.floor(math.log10(min(shown)) - 0.15), math.log10(max(shown))
    return 10.0**low, 10.0 ** (high + 0.2 * (high - low) + 0.2)


def _draw_panel(axes: Axes, words: Words, panel: Panel, names: Sequence[str], limits: tuple[float, float]) -> None:
    _draw_titles(axes, words, panel)
    _style(axes, names, limits)
    seen = {bar.name: bar for bar in panel.bars}
    for place, name in enumerate(names):
        if (bar := seen.get(name)) is None:
            faint: dict[str, Any] = {"fontsize": 8, "color": FAINT, "zorder": 5, **_halo(), **words.family}
            axes.text(limits[0] * 1.15, place, words.say(Sentence("not measured")), va="center", **faint)
        else:
            _draw_bar(axes, place, bar, limits[0])
    if panel.floor_us is not None:
        _draw_floor(axes, words, panel.floor_us)


def _draw_titles(axes: Axes, words: Words, panel: Panel) -> None:
    below = wrap(words.say(panel.subtitle), _SUBTITLE_COLUMNS)
    plain: dict[str, Any] = {"parse_math": False, **words.family}
    title, pad = words.say(panel.title), 18 + 10 * (len(below) - 1)
    axes.set_title(title, loc="left", pad=pad, fontsize=11, fontweight="bold", color=INK, **plain)
    where: dict[str, Any] = {"xytext": (0, 5), "xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate("\n".join(below), (0, 1), fontsize=8, color=MUTED, **where, **plain)


def _draw_floor(axes: Axes, words: Words, floor_us: float) -> None:
    axes.axvline(floor_us, color=FLOOR_COLOUR, linewidth=1.2, linestyle=(0, (4, 2)), zorder=3)
    axes.annotate(
        words.say(Sentence("arithmetic")),
        (floor_us, -0.8),
        fontsize=7.5,
        color=FLOOR_COLOUR,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        annotation_clip=False,
        **words.family,
    )


def _style(axes: Axes, names: Sequence[str], limits: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(len(names) - 0.45, -1.1)
    axes.set_yticks(range(len(names)), names, fontsize=9, parse_math=False)
    axes.xaxis.set_major_locator(LogLocator(10, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda us, _place: _decade(us)))
    axes.grid(True, axis="x", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color("#999999")
    axes.tick_params(colors=INK, length=0, labelsize=9)


def _draw_bar(axes: Axes, place: int, bar: Bar, left: float) -> None:
    colour = OURS_COLOUR if bar.is_ours else OTHERS_COLOUR
    axes.barh(place, bar.us - left, left=left, height=0.66, color=colour, zorder=2)
    axes.plot([bar.low_us, bar.high_us], [place, place], color=INK, linewidth=1, alpha=0.55, zorder=4)
    axes.text(
        max(bar.us, bar.high_us) * 1.13,
        place,
        _figure(bar.us),
        va="center",
        fontsize=9,
        color=OURS_COLOUR if bar.is_ours else INK,
        fontweight="bold" if bar.is_ours else "normal",
        zorder=5,
        **_halo(),
    )


def _halo() -> dict[str, Any]:
    """Return what keeps a line behind a text from cutting through it."""
    from matplotlib.patheffects import withStroke

    return {"path_effects": [withStroke(linewidth=2.5, foreground="white")]}


def _decade(us: float) -> str:
    """Return 0.1, 10, 1 k or 1 M: short enough for many decades side by side."""
    scale, unit = next(((scale, unit) for scale, unit in ((1e6, " M"), (1e3, " k")) if us >= scale), (1.0, ""))
    return f"{us / scale:g}{unit}"


def _figure(us: float) -> str:
    rounded = float(f"{us:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"
