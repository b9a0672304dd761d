"""One column of a table, read as what it is: numbers, days or texts.

Every library's types end in one of three plain forms, in which missing values look the same:

======== ============================= ==========
form     holds                         missing is
======== ============================= ==========
numbers  float64 array                 NaN
days     float64 array, since 1970     NaN
texts    polars Series of strings      null
======== ============================= ==========
"""

from __future__ import annotations

import datetime
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence
from hotloop.tables.large_integers import count_from, origin_of
from hotloop.tables.pieces import pieces

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["ColumnKind", "RawColumn", "text_of"]

ColumnKind = Literal["number", "boolean", "date", "category", "unsupported"]

_MICROSECONDS_PER_SECOND = 1e6
_MICROSECONDS_PER_DAY = 86_400e6


@dataclass(frozen=True, eq=False)
class RawColumn:
    """A column of a table, not yet interpreted.

    Parameters
    ----------
    series : narwhals.Series
        The values, never of dtype object.
    table_name : str
        The table it belongs to, for messages.
    """

    series: nw.Series[Any]
    table_name: str

    @classmethod
    def of(cls, series: nw.Series[Any], table_name: str) -> RawColumn:
        """Wrap a series; columns of Python objects are first given the type their values have."""
        import narwhals as nw

        return cls(_typed(series) if series.dtype == nw.Object else series, table_name)

    @property
    def name(self) -> str:
        """The column's name."""
        return str(self.series.name)

    @property
    def kind(self) -> ColumnKind:
        """What the column holds, judged by its type alone."""
        import narwhals as nw

        dtype = self.series.dtype
        if dtype.is_numeric() or isinstance(dtype, nw.Duration):
            return "number"
        if dtype == nw.Boolean:
            return "boolean"
        if dtype == nw.Date or isinstance(dtype, nw.Datetime):
            return "date"
        if self._is_text:
            return "category"
        return "number" if self._is_empty else "unsupported"

    @property
    def is_integer(self) -> bool:
        """Whether every number present is whole (so ints with gaps that pandas made floats count)."""
        if self.kind != "number" or self.series.dtype.is_integer():
            return self.kind == "number"
        values = self.numbers()
        # Piece by piece: where there are fractions, the first piece tells.
        parts = (values[piece] for piece in pieces(len(values)))
        return all(np.all((part == np.floor(part)) | np.isnan(part)) for part in parts)

    @property
    def _is_text(self) -> bool:
        import narwhals as nw

        dtype = self.series.dtype
        return dtype == nw.String or dtype == nw.Categorical or isinstance(dtype, nw.Enum)

    @property
    def _is_empty(self) -> bool:
        return self.series.null_count() == len(self.series)

    def origin(self, rows: NDArray[np.int64]) -> int:
        """Return what to count the whole numbers in ``rows`` from to keep all their digits; 0 for all other columns."""
        return origin_of(self.series, rows)

    def numbers(self, origin: int = 0) -> NDArray[np.float64]:
        """Read as numbers: booleans as 0 and 1, durations in seconds, texts that spell numbers.

        Parameters
        ----------
        origin : int
            What to count them from.

        Returns
        -------
        float64 array of shape (rows,)
            NaN where missing.

        Raises
        ------
        TableError
            When a value is not a number; it names the value and its row.
        """
        import narwhals as nw

        if self._is_empty:
            return np.full(len(self.series), np.nan)
        if origin:
            exact = self.series.dtype in (nw.Int64, nw.UInt64)
            return count_from(origin, self.series) if exact else self.numbers() - float(origin)
        if isinstance(self.series.dtype, nw.Duration):
            return _float64(self.series.dt.total_microseconds()) / _MICROSECONDS_PER_SECOND
        if self.kind in ("number", "boolean"):
            return _float64(self.series)
        if self.kind == "category":
            return self._numbers_from_texts()
        raise self._not(Sentence("a number"), Sentence("dates") if self.kind == "date" else str(self.series.dtype))

    def days(self) -> NDArray[np.float64]:
        """Read as days since 1970-01-01 (UTC), with a fraction.

        Returns
        -------
        float64 array of shape (rows,)
            NaN where missing; good to a microsecond.

        Raises
        ------
        TableError
            When the column holds no dates.
        """
        if self._is_empty:
            return np.full(len(self.series), np.nan)
        if self.kind != "date":
            raise self._not(Sentence("a date"), Sentence("texts") if self.kind == "category" else f"{self.kind}s")
        return _float64(self.series.dt.timestamp("us")) / _MICROSECONDS_PER_DAY

    def texts(self) -> pl.Series:
        """Read as texts: whole numbers without a point, booleans as ``true`` and ``false``.

        Returns
        -------
        polars.Series of String
            null where missing or empty.
        """
        import polars as pl

        native = self.series.to_native()
        if isinstance(native, pl.Series) and self._is_text:
            texts = native.cast(pl.String)
        else:
            gone = self.series.is_null().to_list()
            values = [None if g else text_of(v) for v, g in zip(self.series.to_list(), gone, strict=True)]
            texts = pl.Series(self.name, values, dtype=pl.String)
        return texts.replace({"": None})

    def text_codes(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the distinct texts by alphabet, and the place of each row's among them.

        Returns
        -------
        texts, codes : tuple of str, int64 array of shape (rows,)
            -1 where missing.
        """
        import polars as pl

        texts = self.texts()
        names = texts.drop_nulls().unique().sort().to_list()
        codes = texts.replace_strict(names, list(range(len(names))), default=-1, return_dtype=pl.Int64)
        return tuple(names), codes.to_numpy()

    def _numbers_from_texts(self) -> NDArray[np.float64]:
        import narwhals as nw
        import polars as pl

        texts = self.texts()
        parsed = texts.cast(pl.Float64, strict=False)
        bad = texts.is_not_null() & parsed.is_null()
        if bad.any():
            row = bad.arg_max() or 0
            raise TableError(
                Sentence(
                    "column '{name}' of '{table}' holds '{text}' in row {row:,}, where a number is needed",
                    name=self.name,
                    table=self.table_name,
                    text=texts[row],
                    row=row + 1,
                )
            )
        return _float64(nw.from_native(parsed, series_only=True))

    def _not(self, wanted: str, found: str) -> TableError:
        return TableError(
            Sentence(
                "column '{name}' of '{table}' holds {found}, where {wanted} is needed in each row",
                name=self.name,
                table=self.table_name,
                found=found,
                wanted=wanted,
            )
        )


def text_of(value: Any) -> str | None:
    """Spell one value as a class or category: 1.0 as ``1``, True as ``true``, NaN as missing."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(float(value))
    return str(value)


def _float64(series: nw.Series[Any]) -> NDArray[np.float64]:
    import narwhals as nw

    if series.dtype != nw.Float64:
        series = series.cast(nw.Float64)
    # Only where needed: filling copies the column, and a table may hold hundreds of megabytes.
    if series.null_count():
        series = series.fill_null(float("nan"))
    values: NDArray[np.float64] = np.asarray(series.to_numpy(), np.float64)
    return values


def _typed(series: nw.Series[Any]) -> nw.Series[Any]:
    """Give a column of Python objects the type that all its values share, else text."""
    import narwhals as nw
    import polars as pl

    gone = series.is_null().to_list()
    values = [None if g else v for v, g in zip(series.to_list(), gone, strict=True)]
    typed = pl.Series(str(series.name), *_common_type(values), strict=False)
    return nw.from_native(typed, series_only=True)


def _common_type(values: Sequence[Any]) -> tuple[list[Any], Any]:
    import polars as pl

    present = [value for value in values if value is not None]
    if all(isinstance(value, (bool, np.bool_)) for value in present):
        return list(values), pl.Boolean
    if all(isinstance(value, numbers.Integral) and -(1 << 63) <= int(value) < 1 << 63 for value in present):
        return [None if value is None else int(value) for value in values], pl.Int64
    if all(isinstance(value, (numbers.Real, Decimal)) for value in present):
        return [None if value is None else float(value) for value in values], pl.Float64
    if all(isinstance(value, datetime.date) for value in present):
        return list(values), None
    return [None if value is None else text_of(value) for value in values], pl.String
