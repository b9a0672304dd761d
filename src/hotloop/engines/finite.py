"""Whether all numbers of an array are finite: asked several times at every fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["all_finite"]


def all_finite(array: NDArray[Any]) -> bool:
    """Return whether an array of real numbers holds neither NaN nor infinity."""
    finite = np.isfinite(array)
    # The least of all answers is sooner found than ``all``, which is Python inside.
    return not finite.size or bool(finite.item(finite.argmin()))
