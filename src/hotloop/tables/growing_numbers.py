"""A column of numbers that grows block by block, in memory set aside once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

__all__ = ["GrowingNumbers"]


class GrowingNumbers:
    """float64 numbers, appended piece by piece.

    One array of the length foreseen, rather than a list of pieces: memory that is set aside but not written
    takes no room, and the finished column is handed on, and later read, without a copy.

    Parameters
    ----------
    n_foreseen : int
        Rows to set memory aside for; more make it move.
    """

    def __init__(self, n_foreseen: int) -> None:
        self._values = np.empty(n_foreseen)
        self._n_rows = 0

    def append(self, part: pl.Series) -> None:
        """Append a series of numbers; null becomes NaN."""
        import polars as pl

        end = self._n_rows + len(part)
        if end > len(self._values):
            self._values = np.concatenate([self._values[: self._n_rows], np.empty(end)])
        self._values[self._n_rows : end] = part.cast(pl.Float64).to_numpy()
        self._n_rows = end

    def series(self, name: str) -> pl.Series:
        """Return what was appended, null where missing."""
        import polars as pl

        values = self._values[: self._n_rows]
        series = pl.Series(name, values)
        return series.fill_nan(None) if np.isnan(values).any() else series
