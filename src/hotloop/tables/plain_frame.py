"""A small table of numbers and texts in plain Python: the packaged iris is read without importing a frame library."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.tables.raw_column import ColumnKind, RawColumn

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

__all__ = ["PlainColumn", "PlainFrame"]


@dataclass(frozen=True, eq=False)
class PlainFrame:
    """Columns of equal length: float64 arrays, or arrays of texts; nothing is missing.

    Parameters
    ----------
    values : mapping of arrays
        By the columns' names, in their order.
    """

    values: Mapping[str, NDArray[Any]]

    @classmethod
    def of_csv(cls, path: Path) -> PlainFrame:
        """Read a file that is known to be in order: a header, then numbers or texts in each cell."""
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
        return cls({name: _numbers_or_texts(cells) for name, cells in columns.items()})

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.values)

    def column(self, name: str, table_name: str) -> PlainColumn:
        """Return one column."""
        return PlainColumn(name, table_name, self.values[name])

    def to_narwhals(self) -> nw.DataFrame[Any]:
        """Return the same columns as a frame of polars."""
        import narwhals as nw
        import polars as pl

        return nw.from_native(pl.DataFrame({name: column.tolist() for name, column in self.values.items()}))


class PlainColumn(RawColumn):
    """A column of a :class:`PlainFrame`; answers the usual questions itself, and all others through polars."""

    _name: str
    _values: NDArray[Any]

    def __init__(self, name: str, table_name: str, values: NDArray[Any]):
        object.__setattr__(self, "table_name", table_name)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_values", values)

    @cached_property
    def series(self) -> nw.Series[Any]:
        """The same values as a series of polars."""
        import narwhals as nw
        import polars as pl

        series: nw.Series[Any] = nw.from_native(pl.Series(self._name, self._values.tolist()), series_only=True)
        return series

    @property
    def name(self) -> str:
        """The column's name."""
        return self._name

    @property
    def kind(self) -> ColumnKind:
        """A number or a category."""
        return "number" if self._values.dtype.kind == "f" else "category"

    @property
    def is_integer(self) -> bool:
        """Whether every number is whole."""
        return self.kind == "number" and bool(np.all(self._values == np.floor(self._values)))

    def origin(self, rows: NDArray[np.int64]) -> int:
        """Return 0: float64 keeps all digits."""
        return 0

    def numbers(self, origin: int = 0) -> NDArray[np.float64]:
        """Read as numbers."""
        return self._values if self.kind == "number" and not origin else super().numbers(origin)

    def text_codes(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the distinct texts by alphabet, and the place of each row's among them."""
        if self.kind == "number":
            return super().text_codes()
        names, codes = np.unique(self._values, return_inverse=True)
        return tuple(names.tolist()), codes.astype(np.int64)


def _numbers_or_texts(cells: list[str]) -> NDArray[Any]:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        return np.array(cells)
