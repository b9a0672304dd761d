"""The scaling of one column of numbers, fitted on training rows and kept as three numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hotloop.tables.statistics import Statistics

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SCALINGS", "Scaling", "ScalingName", "fit_scaling"]

ScalingName = Literal["minmax", "standard", "none"]
SCALINGS: tuple[ScalingName, ...] = ("minmax", "standard", "none")

# (v - 0) * scale + offset is scikit-learn's order of operations, to the bit; but it loses digits when values
# lie far from zero for their range (timestamps, ids). From this offset on, the shift is subtracted first.
_FAR_FROM_ZERO = 1e6


@dataclass(frozen=True)
class Scaling:
    """``scaled = (values - shift) * scale + offset``, in float64.

    Parameters
    ----------
    shift : float
        In the column's own units.
    scale : float
        Per unit of the column; positive.
    offset : float
        Without unit.
    """

    shift: float = 0.0
    scale: float = 1.0
    offset: float = 0.0

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale a float64 array of any shape."""
        scaled = values - self.shift
        scaled *= self.scale
        scaled += self.offset
        return scaled

    def undo(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a float64 array of any shape to the column's own units."""
        return (scaled - self.offset) / self.scale + self.shift


def fit_scaling(seen: Statistics, name: ScalingName, *, origin: bool = False) -> Scaling:
    """Fit a scaling to what the training rows hold.

    Parameters
    ----------
    seen : Statistics
        Of the training rows; at least one is present.
    name : {"minmax", "standard", "none"}
        To [0, 1]; to mean 0 and standard deviation 1; or not at all.
    origin : bool
        Whether the zero of the column means nothing (dates), so that ``"none"`` counts from the smallest.
    """
    if name == "standard":
        return Scaling(shift=seen.mean, scale=_reciprocal(seen.std))
    if name == "minmax":
        return _minmax(seen.low, _reciprocal(seen.high - seen.low))
    return Scaling(shift=seen.low if origin else 0.0)


def _minmax(low: float, scale: float) -> Scaling:
    # 0.0 - x rather than -x, which would turn 0 into a negative zero.
    offset = 0.0 - low * scale
    return Scaling(low, scale) if abs(offset) > _FAR_FROM_ZERO else Scaling(0.0, scale, offset)


def _reciprocal(spread: float) -> float:
    """1 / spread, or 1 for a column that is constant up to rounding below the smallest normal number."""
    return 1.0 / spread if spread > 0 and math.isfinite(1.0 / spread) else 1.0
