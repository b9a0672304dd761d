"""Numbers as people read them: three figures, no exponents."""

from __future__ import annotations

import math

from hotloop.insight.interval import Interval

__all__ = ["count", "interval", "seconds", "share", "three_figures"]

_SCALES = ((1e9, " G"), (1e6, " M"), (1e3, " k"))


def three_figures(value: float) -> str:
    """Return 0.643, 11.0, 279 or 12,300."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    return f"{rounded:.{2 - math.floor(math.log10(abs(rounded)))}f}"


def interval(figure: Interval) -> str:
    """Return 289 (270-301)."""
    return f"{three_figures(figure.value)} ({three_figures(figure.low)}-{three_figures(figure.high)})"


def count(value: float) -> str:
    """Return 812, 81.2 k or 187 M."""
    scale, unit = next(((scale, unit) for scale, unit in _SCALES if value >= scale), (1.0, ""))
    return f"{float(f'{value / scale:.3g}'):g}{unit}"


def share(value: float | None) -> str:
    """Return 31 %, 0.14 %, <0.01 %, or - for None."""
    if value is None:
        return "-"
    return f"{float(f'{100 * value:.2g}'):g} %" if value >= 1e-4 else "<0.01 %"


def seconds(value: float) -> str:
    """Return 0.12, 31, or - for nothing."""
    return f"{float(f'{value:.2g}'):g}" if value else "-"
