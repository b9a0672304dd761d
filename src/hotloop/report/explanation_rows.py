"""The tables of an explanation, row by row: a label, a bar, and the figures with their intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from hotloop.insight.explanation import BreakEven, Forecast, Ladder, Ledger
from hotloop.insight.interval import Interval
from hotloop.language import _
from hotloop.report.bars import forecast_bar, forecast_scale, ladder_bar, ladder_scale, ledger_bar, ledger_scale
from hotloop.report.break_even_map import is_uncertain
from hotloop.report.labels import ledger_label, rung_label
from hotloop.report.numbers import bounds, count, decimals_of, duration, fixed, percent, significant, written
from hotloop.report.svg import shortened

__all__ = ["Row", "forecast_rows", "ladder_rows", "ledger_rows", "map_table"]

_NAME, _REASON = 80, 400  # signs shown of a name and of a sentence


@dataclass(frozen=True)
class Row:
    """A row of a table of bars.

    Parameters
    ----------
    kind : str
        "part", "residual", "total", "observer", "rung", "floor" or "forecast".
    label : str
    bar : Markup
    value, bounds : str
    more : tuple of str
        Further cells.
    width_percent : float
        Length of the bar as a share of the longest, for those who can draw no picture.
    """

    kind: str
    label: str
    bar: Markup
    value: str = ""
    bounds: str = ""
    more: tuple[str, ...] = ()
    width_percent: float = 0.0


def ledger_rows(ledger: Ledger) -> list[Row]:
    """Return the waterfall: the lines, what they leave unexplained, the step, and beside it what observing cost."""
    scale, wall = ledger_scale(ledger), ledger.wall_us
    decimals = decimals_of([*(line.us for line in ledger.lines), wall])

    def row(kind: str, label: str, us: Interval, start_us: float, share: float | None) -> Row:
        bar = ledger_bar(scale, start_us, us, kind)
        shares = "" if share is None else percent(share)
        width = 100 * min(1.0, max(0.0, us.value / wall.value)) if wall.value > 0 else 0.0
        return Row(kind, label, bar, fixed(us.value, decimals), bounds(us, decimals), (shares,), width)

    rows, start_us = [], 0.0
    for line in ledger.lines:
        rows.append(row("part", shortened(ledger_label(line.name), _NAME), line.us, start_us, line.share))
        start_us += line.us.value
    share = ledger.residual_us.value / wall.value if wall.value else None
    rows.append(row("residual", _("not explained"), ledger.residual_us, start_us, share))
    rows.append(row("total", _("a step, timed from outside"), wall, 0.0, 1.0))
    rows.append(row("observer", _("added by observing, not in a step"), ledger.observer_us, wall.value, None))
    return rows


def ladder_rows(ladder: Ladder) -> list[Row]:
    """Return the rungs from the whole step down, each with what removing a cost saved."""
    scale = ladder_scale(ladder)
    rows = []
    for index, rung in enumerate(ladder.rungs):
        kind = "floor" if rung.name == "floor" else "rung"
        bar = ladder_bar(scale, rung.us, kind)
        saved = ("", "") if index == 0 else written(rung.saved_us)
        rows.append(Row(kind, shortened(rung_label(rung.name), _NAME), bar, *written(rung.us), saved))
    return rows


def forecast_rows(forecasts: tuple[Forecast, ...]) -> list[Row]:
    """Return each engine and device with its forecast, what was measured, and how far these are apart."""
    scale = forecast_scale(forecasts)
    return [
        Row(
            "forecast",
            shortened(one.engine, _NAME),
            forecast_bar(scale, one),
            _place(one),
            shortened(one.unavailable or "", _REASON),
            _compared(one),
        )
        for one in forecasts
    ]


def map_table(answer: BreakEven) -> Iterator[tuple[str, list[str]]]:
    """Yield each number of rows, and the ratios with their bounds at each width; undecided ones end in "?"."""
    for rows, ratios in zip(answer.rows, answer.ratio, strict=True):
        cells = [
            f"{significant(ratio.value, 2)} ({significant(ratio.low, 2)} – {significant(ratio.high, 2)})"
            + (" ?" if is_uncertain(ratio) else "")
            for ratio in ratios
        ]
        yield count(rows), cells


def _place(forecast: Forecast) -> str:
    threads = forecast.threads
    words = [shortened(forecast.device, _NAME)]
    if threads is not None:
        words.append(_("1 thread") if threads == 1 else _("{threads} threads").format(threads=threads))
    if forecast.machine is not None:
        words.append(shortened(forecast.machine, _NAME))
    return ", ".join(words)


def _compared(forecast: Forecast) -> tuple[str, ...]:
    error = forecast.error
    return (
        *(("", "") if forecast.forecast_us is None else written(forecast.forecast_us)),
        *(("", "") if forecast.measured_us is None else written(forecast.measured_us)),
        "" if error is None else f"{'+' if error > 0 else ''}{percent(error)}",
        duration(forecast.prepare_s) if forecast.prepare_s else "",
    )
