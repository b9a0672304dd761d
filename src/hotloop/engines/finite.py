"""Whether all numbers of an array are finite: asked several times at every fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["all_finite"]


def all_finite(array: NDArray[Any]) -> bool:
    """Return whether an array of real numbers holds neither NaN nor infinity."""
    # Counting is sooner done than ``all``, which is Python inside.
    return bool(np.count_nonzero(np.isfinite(array)) == array.size)
