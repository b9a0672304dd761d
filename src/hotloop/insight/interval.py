"""A figure with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Interval"]


@dataclass(frozen=True)
class Interval:
    """An estimate and the bounds that its true value lies between, with 95 % confidence unless said otherwise.

    Parameters
    ----------
    low, value, high : float
        In one unit, which the name of the field that holds the interval gives.
    """

    low: float
    value: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the distance between the bounds."""
        return (self.high - self.low) / 2

    def contains(self, truth: float) -> bool:
        """Whether a value lies between the bounds, these included."""
        return self.low <= truth <= self.high

    def times(self, factor: float) -> Interval:
        """Return the same figure in another unit, ``factor`` of which make one of this."""
        low, high = sorted((self.low * factor, self.high * factor))
        return Interval(low, self.value * factor, high)
