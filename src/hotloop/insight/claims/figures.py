"""Figures as people read them: rounded to what their interval allows, without exponents, in ASCII."""

from __future__ import annotations

import math

from hotloop.insight.interval import Interval

__all__ = ["a_step", "figure", "percent", "seconds", "signed_percent", "us", "with_bounds"]

_MOST_DECIMALS = 7


def figure(value: float, digits: int = 2) -> str:
    """Return a number rounded to so many figures."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.0f}" if decimals <= 0 else f"{value:.{min(decimals, _MOST_DECIMALS)}f}"


def with_bounds(interval: Interval, unit: str, *, sign: str = "") -> str:
    """Return an interval such as "0.42 us [0.39, 0.46]", rounded by its own width.

    Parameters
    ----------
    interval : Interval
    unit : str
    sign : str
        "+" shows the sign of positive numbers, too.
    """
    decimals = _decimals(interval)
    # Adding zero takes the sign off a zero.
    bounds = (round(x, decimals) + 0.0 for x in (interval.value, interval.low, interval.high))
    value, low, high = (f"{x:{sign},.{decimals}f}" for x in bounds)
    return f"{value} {unit} [{low}, {high}]"


def _decimals(interval: Interval) -> int:
    size = interval.half_width or abs(interval.value) / 100
    # A width of 1.4 is worth a figure more than one of 9.
    return min(max(0, math.ceil(-math.log10(size / 3))), _MOST_DECIMALS) if size > 0 else 0


def us(interval: Interval) -> str:
    """Return microseconds with their bounds."""
    return with_bounds(interval, "us")


def percent(share: Interval) -> str:
    """Return a share as a percentage with its bounds."""
    return with_bounds(share.times(100), "%")


def signed_percent(share: Interval) -> str:
    """Return a change as a percentage with its bounds and its sign."""
    return with_bounds(share.times(100), "%", sign="+")


def a_step(n: int, what: str) -> str:
    """Return the name of an arm that does something so many times a step, such as "2 records a step"."""
    return f"{n} {what}{'' if n == 1 else 's'} a step"


def seconds(duration_s: float) -> str:
    """Return a duration in the unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(duration_s) >= size:
            return f"{figure(duration_s / size)} {unit}"
    return f"{figure(duration_s * 1e9)} ns"
