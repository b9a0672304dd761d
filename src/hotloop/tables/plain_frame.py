"""A small table of numbers and texts in plain Python: the packaged iris is read without importing a frame library."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.tables.raw_column import ColumnKind, RawColumn

if TYPE_CHECKING:
    import narwhals as nw
    import polars as pl
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
        return PlainColumn(table_name=table_name, plain_name=name, values=self.values[name])

    def to_narwhals(self) -> nw.DataFrame[Any]:
        """Return the same columns as a frame of polars."""
        import narwhals as nw
        import polars as pl

        return nw.from_native(pl.DataFrame({name: column.tolist() for name, column in self.values.items()}))


@dataclass(frozen=True, eq=False, kw_only=True)
class PlainColumn(RawColumn):
    """A column of a :class:`PlainFrame`; answers what is asked of it without the series behind other columns."""

    series: Any = None
    plain_name: str
    values: NDArray[Any]

    @property
    def name(self) -> str:
        """The column's name."""
        return self.plain_name

    @property
    def kind(self) -> ColumnKind:
        """A number or a category."""
        return "number" if self.values.dtype.kind == "f" else "category"

    @property
    def is_integer(self) -> bool:
        """Whether every number is whole."""
        return self.kind == "number" and bool(np.all(self.values == np.floor(self.values)))

    def numbers(self) -> NDArray[np.float64]:
        """Read as numbers; raises TableError for texts."""
        if self.kind == "number":
            return self.values
        raise self._not("a number", "texts")

    def days(self) -> NDArray[np.float64]:
        """Raise TableError: there are no dates."""
        raise self._not("a date", "texts" if self.kind == "category" else "numbers")

    def texts(self) -> pl.Series:
        """Read as texts."""
        import polars as pl

        return pl.Series(self.name, self.values.tolist(), dtype=pl.String)

    def text_codes(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return the distinct texts by alphabet, and the place of each row's among them."""
        names, codes = np.unique(self.values, return_inverse=True)
        return tuple(names.tolist()), codes.astype(np.int64)


def _numbers_or_texts(cells: list[str]) -> NDArray[Any]:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        return np.array(cells)
