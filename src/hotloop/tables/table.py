"""A table as it was read: a name and a frame, nothing interpreted yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotloop.errors import TableError, nearest
from hotloop.sentence import Sentence, counted
from hotloop.tables.plain_frame import PlainFrame
from hotloop.tables.raw_column import RawColumn

if TYPE_CHECKING:
    import narwhals as nw

__all__ = ["MAX_COLUMNS", "Table", "listed"]

MAX_COLUMNS = 10_000


@dataclass(frozen=True, eq=False)
class Table:
    """Rows and named columns, whatever library holds them.

    Parameters
    ----------
    name : str
        What messages and run directories call it: a file's name without its suffix, or ``"iris"``.
    source : narwhals.DataFrame or PlainFrame
        The columns as read; text, numbers and missing values are interpreted by :func:`prepare`.
    notes : tuple of str
        What reading had to decide, as sentences to print.
    stratify_by_default : bool
        Whether a classification split keeps the classes' proportions unless told otherwise.
    """

    name: str
    source: nw.DataFrame[Any] | PlainFrame
    notes: tuple[str, ...] = ()
    stratify_by_default: bool = True

    @property
    def frame(self) -> nw.DataFrame[Any]:
        """The columns as a frame of narwhals."""
        return self.source.to_narwhals() if isinstance(self.source, PlainFrame) else self.source

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.source)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the file."""
        return tuple(self.source.columns)

    def column(self, name: str) -> RawColumn:
        """Return the column called ``name``."""
        if isinstance(self.source, PlainFrame):
            return self.source.column(name, self.name)
        return RawColumn.of(self.source[name], self.name)

    def require(self, names: tuple[str, ...], *, role: str) -> None:
        """Raise one TableError that names every column the table lacks.

        Parameters
        ----------
        names : tuple of str
            The columns needed.
        role : str
            What they are, in the singular: ``"column"`` or ``"target column"``.
        """
        there = set(self.columns)
        missing = [name for name in names if name not in there]
        if missing:
            quoted = ", ".join(f"'{name}'" for name in missing)
            what = counted(
                "table '{table}' has no column {names}",
                "table '{table}' has no columns {names}",
                len(missing),
                table=self.name,
                names=quoted,
            )
            if role != "column":
                what = Sentence("table '{table}' has no target column {names}", table=self.name, names=quoted)
            near = ""
            for hint in dict.fromkeys(nearest(name, self.columns) for name in missing):
                near = Sentence("{near}{more}", near=near, more=hint) if near else hint
            raise TableError(
                what, do=Sentence("Its columns are {listed}.{near}", listed=listed(self.columns), near=near)
            )


def listed(names: tuple[str, ...], most: int = 12) -> str:
    """Return the names with commas between them, beyond so many only their number."""
    first = ", ".join(names[:most])
    if len(names) <= most:
        return first
    return Sentence("{listed} and {n:,} more", listed=first, n=len(names) - most)
