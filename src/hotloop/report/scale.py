"""An axis: where a value stands on it, and which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Scale", "linear_scale", "log_scale"]


@dataclass(frozen=True)
class Scale:
    """An axis from ``low`` to ``high``.

    Parameters
    ----------
    low, high : float
        Finite, ``low < high``; positive where logarithmic.
    is_logarithmic : bool
    """

    low: float
    high: float
    is_logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return where ``value`` stands: 0 at ``low``, 1 at ``high``, never outside."""
        if self.is_logarithmic:
            if value <= self.low:
                return 0.0
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, part))

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Return at most about ``most`` round values within the axis, ascending."""
        return _log_ticks(self.low, self.high, most) if self.is_logarithmic else _ticks(self.low, self.high, most)


def linear_scale(values: Iterable[float], margin: float = 0.0) -> Scale:
    """Return a linear axis that holds all values, with a share of its length left free at both ends."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        spread = abs(high) / 2 or 1.0
        low, high = low - spread, high + spread
    room = margin * (high - low)
    return Scale(low - room, high + room)


def log_scale(values: Iterable[float], margin: float = 0.0) -> Scale:
    """Return a logarithmic axis that holds all positive values; at least a factor of ten long."""
    positive = [value for value in values if math.isfinite(value) and value > 0]
    low, high = (min(positive), max(positive)) if positive else (1.0, 10.0)
    room = (high / low) ** margin
    low, high = low / room, high * room
    if high < 10 * low:
        middle = math.sqrt(low) * math.sqrt(high)
        low, high = middle / math.sqrt(10), middle * math.sqrt(10)
    return Scale(low, high, True)


def _ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def _log_ticks(low: float, high: float, most: int) -> tuple[float, ...]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    n_decades = last - first + 1
    if n_decades >= 3:
        stride = max(1, math.ceil(n_decades / most))
        return tuple(10.0**power for power in range(first, last + 1, stride))
    every = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in (1, 2, 5)]
    return tuple(tick for tick in every if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9))
