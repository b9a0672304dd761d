"""Whole numbers with more digits than float64 holds (ids, timestamps): counted from one of them, none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

__all__ = ["LARGEST_EXACT", "count_from", "origin_of"]

LARGEST_EXACT = 1 << 53
"""Up to here float64 holds every whole number."""


def origin_of(series: nw.Series[Any], rows: NDArray[np.int64]) -> int:
    """Return the whole number to count ``series[rows]`` from.

    Returns
    -------
    int
        The smallest, where float64 would lose digits that counting from there keeps; else 0.
    """
    import narwhals as nw

    if series.dtype not in (nw.Int64, nw.UInt64) or not _is_large(series):
        return 0
    integers = _integers(series)[rows]
    present = integers[~series.is_null().to_numpy()[rows]]
    if not len(present):
        return 0
    low, high = int(present.min()), int(present.max())
    return low if max(-low, high) > LARGEST_EXACT and high - low <= LARGEST_EXACT else 0


def count_from(origin: int, series: nw.Series[Any]) -> NDArray[np.float64]:
    """Return how far each number of an Int64 or UInt64 series lies above ``origin``; NaN where it is missing."""
    integers = _integers(series)
    far = integers.astype(np.float64) - float(origin)
    # Modulo 2**64, so that nothing overflows; right wherever the true difference is small.
    near = (integers.view(np.uint64) - np.uint64(origin % 2**64)).view(np.int64)
    counted = np.where(np.abs(far) < 2.0**62, near, far)
    counted[series.is_null().to_numpy()] = np.nan
    return counted


def _is_large(series: nw.Series[Any]) -> bool:
    if series.null_count() == len(series):
        return False
    return max(-int(series.min()), int(series.max())) > LARGEST_EXACT


def _integers(series: nw.Series[Any]) -> NDArray[Any]:
    """Return an int64 or uint64 array, 0 where a number is missing."""
    if series.null_count():
        series = series.fill_null(0)
    return np.ascontiguousarray(series.to_numpy())
