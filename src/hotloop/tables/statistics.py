"""What the training rows say about one column of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotloop.tables.pieces import pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Statistics", "describe"]


@dataclass(frozen=True)
class Statistics:
    """Summary of some rows of a column, missing values left out.

    Parameters
    ----------
    n_present, n_missing : int
        Numbers of rows.
    mean, std : float
        Mean and standard deviation (of the population), in the column's units.
    low, high : float
        Smallest and largest value.
    """

    n_present: int
    n_missing: int
    mean: float
    std: float
    low: float
    high: float


def describe(values: NDArray[np.float64], rows: NDArray[np.int64]) -> Statistics:
    """Summarise ``values[rows]``.

    Parameters
    ----------
    values : float64 array of shape (all rows,)
        NaN where missing.
    rows : int64 array
        The rows to summarise; where all are missing, the figures are 0.
    """
    first = next(_present(values, rows), None)
    if first is None:
        return Statistics(0, len(rows), 0.0, 0.0, 0.0, 0.0)
    # Relative to one of the values: sums of large ids or timestamps would lose the digits that differ.
    origin = float(first[0])
    n_present, sums, lows, highs = 0, [], [], []
    for present in _present(values, rows):
        n_present += len(present)
        sums.append(float((present - origin).sum()))
        lows.append(float(present.min()))
        highs.append(float(present.max()))
    above = math.fsum(sums) / n_present
    # A second pass: the sum of squares alone loses all digits where the mean is large for the spread.
    squares = [float(np.square(present - origin - above).sum()) for present in _present(values, rows)]
    std = math.sqrt(math.fsum(squares) / n_present)
    return Statistics(n_present, len(rows) - n_present, origin + above, std, min(lows), max(highs))


def _present(values: NDArray[np.float64], rows: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    """Yield the values that are there, piece by piece."""
    for piece in pieces(len(rows)):
        some = values[rows[piece]]
        some = some[~np.isnan(some)]
        if len(some):
            yield some
