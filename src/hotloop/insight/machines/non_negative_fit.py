"""Costs from times: how much each kind of work takes, when what was done and how long it took are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["non_negative_fit"]

_SWEEPS = 300


def non_negative_fit(counts: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the costs, none below 0, under which ``counts @ costs / times`` come closest to 1 in squares.

    Notes
    -----
    Coordinate descent; source: Franc, Hlavac, Navara, "Sequential coordinate-wise algorithm for the non-negative
    least squares problem", CAIP 2005.
    """
    relative = counts / times[:, None]
    gram, target = relative.T @ relative, relative.sum(axis=0)
    costs = np.zeros(counts.shape[1])
    for _ in range(_SWEEPS):
        for place in np.flatnonzero(gram.diagonal()):
            step = (target[place] - gram[place] @ costs) / gram[place, place]
            costs[place] = max(costs[place] + step, 0.0)
    return costs
