"""The scaling of one column of numbers, fitted on training rows and kept as three numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SCALINGS", "Scaling", "ScalingName", "fit_scaling"]

ScalingName = Literal["minmax", "standard", "none"]

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


def fit_scaling(values: NDArray[np.float64], name: ScalingName, *, origin: bool = False) -> Scaling:
    """Fit a scaling to the numbers of the training rows.

    Parameters
    ----------
    values : float64 array of shape (rows,)
        Finite; at least one.
    name : {"minmax", "standard", "none"}
        To [0, 1]; to mean 0 and standard deviation 1 (of the population); or not at all.
    origin : bool
        Whether the zero of the column means nothing (dates), so that ``"none"`` counts from the smallest.
    """
    if name == "none":
        return Scaling(shift=float(values.min()) if origin else 0.0)
    return _FITS[name](values)


def _fit_minmax(values: NDArray[np.float64]) -> Scaling:
    low, high = float(values.min()), float(values.max())
    scale = _reciprocal(high - low)
    offset = -low * scale
    return (
        Scaling(shift=low, scale=scale)
        if abs(offset) > _FAR_FROM_ZERO
        else Scaling(scale=scale, offset=offset)
    )


def _fit_standard(values: NDArray[np.float64]) -> Scaling:
    return Scaling(shift=float(values.mean()), scale=_reciprocal(float(values.std())))


def _reciprocal(spread: float) -> float:
    """1 / spread, or 1 for a column that is constant up to rounding below the smallest normal number."""
    return 1.0 / spread if spread > 0 and math.isfinite(1.0 / spread) else 1.0


_FITS: dict[ScalingName, Callable[[NDArray[np.float64]], Scaling]] = {
    "minmax": _fit_minmax,
    "standard": _fit_standard,
}
SCALINGS: tuple[ScalingName, ...] = ("minmax", "standard", "none")
