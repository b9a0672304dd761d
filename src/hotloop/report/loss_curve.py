"""The loss over the epochs as a picture: 10 x 6 inches, one line for training and one for validation.

The figure is built from objects, never through ``pyplot``: no global state, no window, safe in any thread.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.language import Sentence
from hotloop.report.drawing import Words, drawing, explained
from hotloop.report.series import (
    TRAINING_COLOUR,
    VALIDATION_COLOUR,
    best_validation,
    drawn_points,
    first_bad_epoch,
    is_logarithmic,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hotloop.runs import Run

__all__ = ["FORMATS", "draw", "render", "to_png"]

FORMATS = ("png", "svg", "pdf")

SIZE_INCHES = (10.0, 6.0)
DOTS_PER_INCH = 150
INK, GRID = "#333333", "#DDDDDD"
MARKERS_UP_TO = 30  # so few records are shown as points, too


def draw(run: Run) -> Figure:
    """Return the loss curve of ``run``.

    Parameters
    ----------
    run : Run
        Any number of records, finite or not.

    Returns
    -------
    matplotlib.figure.Figure
        With an Agg canvas, not known to pyplot.

    Raises
    ------
    OutputError
        matplotlib cannot be used as it is installed or set up.
    """
    with explained(Sentence("the loss curve")):
        return _draw(run)


def _draw(run: Run) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    words = Words()
    _style(axes, words, " ".join(run.device.split()))
    training = words.say(Sentence("training"))
    _line(axes, run.recorded_at, run.losses, color=TRAINING_COLOUR, label=training)
    if len(run.validated_at):
        _line(
            axes,
            run.validated_at,
            run.validation_losses,
            color=VALIDATION_COLOUR,
            label=words.say(Sentence("validation")),
            dashes=(5, 1.5),
        )
        _mark_best(axes, words, run)
    _mark_first_bad(axes, words, run)
    if run.epochs < 2:
        axes.set_xlim(0, 2)
    if is_logarithmic(np.concatenate([run.losses, run.validation_losses])):
        axes.set_yscale("log")
    if len(axes.get_legend_handles_labels()[1]) > 1:
        axes.legend(facecolor="white", edgecolor="none", prop={"size": 11, **words.family}, labelcolor=INK)
    return figure


def render(run: Run, image_format: str = "png") -> bytes:
    """Return the loss curve of ``run`` as a file of one of ``FORMATS``; raises what :func:`draw` raises."""
    with drawing(Sentence("the loss curve")):
        image = io.BytesIO()
        draw(run).savefig(image, format=image_format)
        return image.getvalue()


def to_png(run: Run) -> bytes:
    """Return the loss curve of ``run`` as PNG, 1500 x 900 pixels."""
    return render(run, "png")


def _style(axes: Axes, words: Words, device: str) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    # A device's name is text, whatever signs are in it: no mathematics, no TeX.
    title = words.say(Sentence("Training Loss on {device}", device=device))
    plain: dict[str, Any] = {"color": INK, "usetex": False, **words.family}
    axes.set_title(title, fontsize=15, pad=10, parse_math=False, **plain)
    axes.set_xlabel(words.say(Sentence("Epoch")), fontsize=12, **plain)
    axes.set_ylabel(words.say(Sentence("Loss")), fontsize=12, **plain)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(colors=INK, labelsize=11, color="#999999")
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 2.5, 5, 10], min_n_ticks=1))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _line(axes: Axes, epochs: NDArray[np.int64], losses: NDArray[np.float64], **style: Any) -> None:
    epochs, losses = drawn_points(epochs, losses, int(2 * SIZE_INCHES[0] * DOTS_PER_INCH))
    marker = "o" if len(epochs) <= MARKERS_UP_TO else ""
    axes.plot(epochs, losses, linewidth=1.8, marker=marker, markersize=5, **style)


def _mark_best(axes: Axes, words: Words, run: Run) -> None:
    """Put a ring on the best validation loss."""
    best = best_validation(run)
    if best is not None:
        epoch, loss = best
        axes.plot(
            [epoch],
            [loss],
            marker="o",
            markersize=10,
            markerfacecolor="white",
            markeredgecolor=VALIDATION_COLOUR,
            markeredgewidth=2,
            linestyle="",
            label=words.say(Sentence("best validation (epoch {epoch:,})", epoch=epoch)),
            zorder=5,
        )


def _mark_first_bad(axes: Axes, words: Words, run: Run) -> None:
    """Say where the loss stopped being a number, or that there is none."""
    bad = first_bad_epoch(run)
    if bad is not None:
        label = words.say(Sentence("not finite from epoch {epoch:,}", epoch=bad))
        axes.axvline(bad, color=INK, linewidth=1.2, linestyle=":", label=label)
    elif not len(run.losses):
        text = words.say(Sentence("no loss recorded"))
        where: dict[str, Any] = {"transform": axes.transAxes, "ha": "center"}
        axes.text(0.5, 0.5, text, color=INK, fontsize=13, **where, **words.family)
