"""Bars that stand in cells of a table: each cell is a picture, all cells of a column share one axis."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from hotloop.insight.explanation import Forecast, Ladder, Ledger
from hotloop.insight.interval import Interval
from hotloop.report.numbers import short
from hotloop.report.scale import Scale, linear_scale, log_scale
from hotloop.report.svg import element, line, percentage, rect, text

__all__ = ["axis", "forecast_bar", "forecast_scale", "ladder_bar", "ladder_scale", "ledger_bar", "ledger_scale"]


def ledger_scale(ledger: Ledger) -> Scale:
    """Return the axis of a waterfall: from nothing to a step, its observer and their uncertainty."""
    ends = [ledger.wall_us.high, ledger.wall_us.value + max(0.0, ledger.observer_us.high)]
    total = 0.0
    for one in ledger.lines:
        ends.append(total + one.us.high)
        total += one.us.value
    return linear_scale([0.0, min(0.0, ledger.wall_us.value + ledger.observer_us.low), *ends])


def ledger_bar(scale: Scale, start_us: float, us: Interval, kind: str) -> Markup:
    """Draw one line of the ledger from where the lines before it end; a whisker shows its interval."""
    bar = _bar(scale, start_us, start_us + us.value, kind)
    return _cell(_grid(scale), bar, *_whisker(scale, us, start_us))


def ladder_scale(ladder: Ladder) -> Scale:
    """Return the logarithmic axis of the rungs."""
    return log_scale((bound for rung in ladder.rungs for bound in (rung.us.low, rung.us.high)), margin=0.06)


def ladder_bar(scale: Scale, us: Interval, kind: str) -> Markup:
    """Draw a rung from the end of the axis."""
    return _cell(_grid(scale), _bar(scale, scale.low, us.value, kind), *_whisker(scale, us))


def forecast_scale(forecasts: Sequence[Forecast]) -> Scale:
    """Return the logarithmic axis that holds what was forecast and what was measured."""
    known = [us for one in forecasts for us in (one.forecast_us, one.measured_us) if us is not None]
    return log_scale((bound for us in known for bound in (us.low, us.high)), margin=0.06)


def forecast_bar(scale: Scale, forecast: Forecast) -> Markup:
    """Draw the forecast as a band with a stroke, and what was measured as a dot."""
    drawn = [_grid(scale)]
    if (expected := forecast.forecast_us) is not None:
        drawn.append(_bar(scale, expected.low, expected.high, "band"))
        drawn.append(_stroke(scale, expected.value, "expected"))
    if (measured := forecast.measured_us) is not None:
        drawn += _whisker(scale, measured)
        drawn.append(element("circle", cx=percentage(scale.share(measured.value)), cy="50%", r=5, class_="measured"))
    return _cell(*drawn)


def axis(scale: Scale) -> Markup:
    """Draw the numbers below a column of bars."""
    return element("svg", *(_tick(scale, tick) for tick in scale.ticks(4)), class_="axis", aria_hidden="true")


def _tick(scale: Scale, tick: float) -> Markup:
    share = scale.share(tick)
    anchor = "start" if share < 0.04 else "end" if share > 0.96 else "middle"
    return text(percentage(share), "1em", short(tick), text_anchor=anchor)


def _cell(*children: Markup) -> Markup:
    return element("svg", *children, class_="bar", aria_hidden="true")


def _grid(scale: Scale) -> Markup:
    shares = [percentage(scale.share(tick)) for tick in scale.ticks(4)]
    return Markup("").join(line(share, "0", share, "100%", "grid") for share in shares)


def _bar(scale: Scale, start: float, end: float, kind: str) -> Markup:
    low, high = sorted((scale.share(start), scale.share(end)))
    return rect(percentage(low), "22%", percentage(high - low), "56%", kind)


def _whisker(scale: Scale, us: Interval, start: float = 0.0) -> list[Markup]:
    low, high = percentage(scale.share(start + us.low)), percentage(scale.share(start + us.high))
    return [line(low, "50%", high, "50%", "whisker"), *(line(end, "36%", end, "64%", "whisker") for end in (low, high))]


def _stroke(scale: Scale, value: float, class_: str) -> Markup:
    at = percentage(scale.share(value))
    return line(at, "14%", at, "86%", class_)
