"""The loss over the epochs as SVG that stretches with the page, and the numbers that a script zooms with.

::

    <svg>                          as wide as the page: grid, ticks and marks at percentages
      <svg viewBox="0 0 1000 1000">  the curves, stretched; strokes keep their width
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from hotloop.language import _
from hotloop.report.numbers import count, short, significant
from hotloop.report.scale import Scale, linear_scale, log_scale
from hotloop.report.series import (
    FEWEST_IN_A_BIN,
    best_validation,
    drawn_points,
    first_bad_epoch,
    is_drawable,
    is_logarithmic,
)
from hotloop.report.svg import described, element, line, percentage, polyline, text

if TYPE_CHECKING:
    from hotloop.runs import Run

__all__ = ["LossChart", "loss_chart", "loss_table", "sparkline"]

_N_BINS = 1800  # twice the width of the plot in pixels
_SIDE = 1000.0  # of the square that the curves are drawn in
_DOTS_UP_TO = 30  # so few records are shown as points, too
_TABLE_ROWS = 20


@dataclass(frozen=True)
class LossChart:
    """A drawn loss curve.

    Parameters
    ----------
    svg : Markup
    data : Markup
        The points as JSON: ``first`` and ``last`` epoch of the axis, whether it is ``logarithmic``, and ``epochs`` and
        ``losses`` of each series.
    marks : tuple of str
        What is marked, in words: the best epoch, the first bad one; and what is left out.
    has_validation, is_logarithmic : bool
    """

    svg: Markup
    data: Markup
    marks: tuple[str, ...]
    has_validation: bool
    is_logarithmic: bool


Points = tuple[NDArray[np.int64], NDArray[np.float64]]


def loss_chart(run: Run) -> LossChart | None:
    """Draw the training and validation losses; None where no loss can be drawn."""
    series = _series(run)
    if not any(len(epochs) for _name, (epochs, _losses) in series):
        return None
    x, y = _scales(run, series)
    curves = element(
        "svg",
        *(_curve(name, points, x, y) for name, points in series),
        viewBox="0 0 1000 1000",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )
    marks, words = _marks(run, x, y)
    dots = [_dot(epoch, loss, x, y, f"dot {name}") for name, points in series for epoch, loss in _few(points)]
    title = _("Loss over the epochs")
    svg = described("loss", title, _description(run, y), _grid(x, y), curves, *dots, *marks, class_="plot")
    return LossChart(svg, _data(series, x, y), tuple(words), len(series) > 1, y.is_logarithmic)


def sparkline(run: Run) -> Markup | None:
    """Draw the curves alone, small, for a notebook; colours stand in the elements."""
    from hotloop.report.series import TRAINING_COLOUR, VALIDATION_COLOUR

    series = [(name, points) for name, points in _series(run, n_bins=600) if len(points[0])]
    if not series:
        return None
    x, y = _scales(run, series)
    colours = {"training": TRAINING_COLOUR, "validation": VALIDATION_COLOUR}
    style = {"fill": "none", "stroke_width": 2, "vector_effect": "non-scaling-stroke"}
    curves = [element("path", d=_path(points, x, y), stroke=colours[name], **style) for name, points in series]
    frame = {"viewBox": "0 0 1000 1000", "preserveAspectRatio": "none", "width": 320, "height": 96}
    return element("svg", *curves, role="img", aria_label=_description(run, y), **frame)


def loss_table(run: Run) -> list[tuple[str, str, str]]:
    """Return epoch, training loss and validation loss at epochs spread over the run, the best among them."""
    n_records = len(run.recorded_at)
    at = np.unique(np.linspace(0, n_records - 1, min(n_records, _TABLE_ROWS)).round().astype(int))
    best = best_validation(run)
    epochs = {*run.recorded_at[at].tolist(), *([best[0]] if best else [])}
    training = dict(zip(run.recorded_at.tolist(), run.losses.tolist(), strict=True))
    validation = dict(zip(run.validated_at.tolist(), run.validation_losses.tolist(), strict=True))
    return [(count(epoch), _cell(training, epoch), _cell(validation, epoch)) for epoch in sorted(epochs)]


def _series(run: Run, n_bins: int = _N_BINS) -> list[tuple[str, Points]]:
    series = [("training", drawn_points(run.recorded_at, run.losses, n_bins))]
    if len(run.validated_at):
        series.append(("validation", drawn_points(run.validated_at, run.validation_losses, n_bins)))
    return series


def _scales(run: Run, series: list[tuple[str, Points]]) -> tuple[Scale, Scale]:
    epochs = np.concatenate([points[0] for _name, points in series])
    losses = np.concatenate([points[1] for _name, points in series])
    bad = first_bad_epoch(run)
    x = linear_scale([float(epochs.min()), float(epochs.max()), *([] if bad is None else [float(bad)])])
    ends = [float(losses.min()), float(losses.max())]
    return x, log_scale(ends, margin=0.04) if is_logarithmic(losses) else linear_scale(ends, margin=0.04)


def _path(points: Points, x: Scale, y: Scale) -> str:
    epochs, losses = points
    across = _SIDE * (epochs - x.low) / (x.high - x.low)
    low, high = np.log([y.low, y.high]) if y.is_logarithmic else (y.low, y.high)
    up = ((np.log(losses) if y.is_logarithmic else losses) - low) / (high - low)
    return polyline(zip(across.tolist(), (_SIDE * (1 - up)).tolist(), strict=True))


def _curve(name: str, points: Points, x: Scale, y: Scale) -> Markup:
    return element("path", d=_path(points, x, y), class_=f"curve {name}", data_series=name)


def _few(points: Points) -> list[tuple[int, float]]:
    if len(points[0]) > _DOTS_UP_TO:
        return []
    return list(zip(points[0].tolist(), points[1].tolist(), strict=True))


def _dot(epoch: int, loss: float, x: Scale, y: Scale, class_: str) -> Markup:
    return element(
        "circle",
        cx=percentage(x.share(epoch)),
        cy=percentage(1 - y.share(loss)),
        r=6 if class_ == "best" else 3,
        class_=class_,
        data_epoch=epoch,
        data_loss=repr(loss),
    )


def _grid(x: Scale, y: Scale) -> Markup:
    whole = [tick for tick in x.ticks(7) if tick == round(tick)]
    across = [
        line(percentage(x.share(tick)), "0", percentage(x.share(tick)), "100%", "grid")
        + text(percentage(x.share(tick)), "100%", count(tick), "tick", text_anchor="middle", dy="1.5em")
        for tick in whole
    ]
    upward = [
        line("0", percentage(1 - y.share(tick)), "100%", percentage(1 - y.share(tick)), "grid")
        + text("0", percentage(1 - y.share(tick)), short(tick), "tick", text_anchor="end", dx="-0.6em", dy="0.32em")
        for tick in y.ticks(6)
    ]
    return element("g", *across, *upward, class_="axes")


def _marks(run: Run, x: Scale, y: Scale) -> tuple[list[Markup], list[str]]:
    marks, words = [], []
    if best := best_validation(run):
        marks.append(_dot(*best, x, y, "best"))
        words.append(_("best validation loss at epoch {epoch}").format(epoch=count(best[0])))
    bad = first_bad_epoch(run)
    if bad is not None:
        at = percentage(x.share(bad))
        marks.append(element("line", x1=at, x2=at, y1="0", y2="100%", class_="bad", data_epoch=bad))
        words.append(_("not a finite number from epoch {epoch}").format(epoch=count(bad)))
    n_each = len(run.losses) // _N_BINS
    if n_each >= FEWEST_IN_A_BIN:
        words.append(_("of every {n} records the lowest and the highest").format(n=n_each))
    return marks, words


def _description(run: Run, y: Scale) -> str:
    drawable = run.losses[is_drawable(run.losses)]
    if not len(drawable):
        return _("No training loss could be drawn.")
    sentence = _("Training loss from {first} to {last}; {axis} axis.")
    axis = _("logarithmic") if y.is_logarithmic else _("linear")
    return sentence.format(first=significant(drawable[0]), last=significant(drawable[-1]), axis=axis)


def _data(series: list[tuple[str, Points]], x: Scale, y: Scale) -> Markup:
    written = [
        f'{{"name":"{name}","epochs":[{",".join(map(str, epochs.tolist()))}],'
        f'"losses":[{",".join([f"{loss:.7g}" for loss in losses.tolist()])}]}}'
        for name, (epochs, losses) in series
    ]
    axes = f'"first":{x.low!r},"last":{x.high!r},"logarithmic":{str(y.is_logarithmic).lower()}'
    return Markup(f'{{{axes},"series":[{",".join(written)}]}}')


def _cell(values: dict[int, float], epoch: int) -> str:
    return significant(values[epoch], 6) if epoch in values else ""
