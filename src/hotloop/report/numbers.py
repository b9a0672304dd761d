"""Numbers as pages show them: no more digits than are known, thousands apart, signs of one width."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hotloop.insight.interval import Interval
from hotloop.language import _

__all__ = ["bounds", "count", "decimals_of", "duration", "fixed", "percent", "short", "significant", "written"]


def significant(value: float, digits: int = 3) -> str:
    """Return ``value`` with so many significant digits: "131", "0.0619", "1,310,000"."""
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if not -5 <= exponent < 9:
        return _with_minus(f"{value:.{digits - 1}e}")
    return _with_minus(f"{rounded:,.{max(0, digits - 1 - exponent)}f}")


def short(value: float) -> str:
    """Return a round number, such as one beside an axis, without zeros that say nothing: "0.5", "1,000"."""
    written = significant(value)
    return written.rstrip("0").rstrip(".") if "." in written and "e" not in written else written


def fixed(value: float, decimals: int) -> str:
    """Return ``value`` with so many decimals, for columns of figures; "0.0" has no sign."""
    if not math.isfinite(value):
        return _not_finite(value)
    if abs(value) >= 1e9:
        return significant(value)
    return _with_minus(f"{round(value, decimals) + 0.0:,.{decimals}f}")


def decimals_of(intervals: Iterable[Interval], digits: int = 1, most: int = 2) -> int:
    """Return how many decimals intervals in one column need: so many digits of the narrowest half width."""
    widths = [interval.half_width for interval in intervals]
    widths = [width for width in widths if math.isfinite(width) and width > 0]
    return min(most, max(0, digits - 1 - math.floor(math.log10(min(widths))))) if widths else 1


def bounds(us: Interval, decimals: int) -> str:
    """Return the ends of an interval with so many decimals."""
    return f"{fixed(us.low, decimals)} – {fixed(us.high, decimals)}"


def written(us: Interval) -> tuple[str, str]:
    """Return a figure and its bounds with the digits that the interval leaves."""
    if not us.half_width > 0:
        return significant(us.value), ""
    decimals = decimals_of([us], digits=2, most=6)
    return fixed(us.value, decimals), bounds(us, decimals)


def percent(share: float, digits: int = 2) -> str:
    """Return a share as "32 %"; more digits only below ten per cent."""
    if not math.isfinite(share):
        return _not_finite(share)
    value = 100 * share
    return f"{fixed(value, 0 if abs(value) >= 10 else digits - 1)} %"


def count(value: float) -> str:
    """Return a whole number with its thousands apart."""
    return _with_minus(f"{value:,.0f}") if math.isfinite(value) else _not_finite(value)


def duration(seconds: float) -> str:
    """Return a duration in the unit that a person would say it in."""
    if not math.isfinite(seconds):
        return _not_finite(seconds)
    for limit_s, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min")):
        if seconds < limit_s:
            return f"{significant(seconds * factor)} {unit}"
    return f"{significant(seconds / 3600)} h"


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return _("not a number")
    return "∞" if value > 0 else "−∞"


def _with_minus(text: str) -> str:
    return text.replace("-", "−", 1) if text.startswith("-") else text
