"""``read``: the packaged table, a file or a frame to a :class:`Table`."""

from __future__ import annotations

import importlib.resources
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotloop.errors import TableError, nearest
from hotloop.sentence import Sentence
from hotloop.tables.plain_frame import PlainFrame
from hotloop.tables.table import MAX_COLUMNS, Table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read"]


def read(source: Any, *, name: str | None = None) -> Table:
    """Read a table.

    Parameters
    ----------
    source : str, Path or frame
        ``"iris"`` for the packaged table; a file ending in .csv, .tsv, .txt or .parquet; or a frame of
        polars, pandas, pyarrow or any other library that narwhals knows.
    name : str, optional
        What to call the table; by default the file's name without its suffix, or ``"table"``.

    Returns
    -------
    Table

    Raises
    ------
    TableError
        When the source cannot be read, with the file and, where it is known, the line.
    """
    if isinstance(source, str) and source == "iris":
        return _packaged_iris(name)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        frame, notes = _read_file(path)
        return _from_frame(frame, name or path.stem, notes)
    return _from_frame(source, name or "table")


def _packaged_iris(name: str | None) -> Table:
    with importlib.resources.as_file(importlib.resources.files("hotloop.tables") / "data/iris.csv") as path:
        frame = PlainFrame.of_csv(path)
    # Unstratified: the rows of scikit-learn's train_test_split, on which the lesson's figures rest.
    return Table(name or "iris", frame, stratify_by_default=False)


def _from_frame(source: Any, name: str, notes: tuple[str, ...] = ()) -> Table:
    import narwhals as nw

    try:
        frame = nw.from_native(source)
    except nw.exceptions.DuplicateError as error:
        twice = " ".join(str(error).split())
        raise TableError(Sentence("table '{name}' has columns of the same name", name=name), why=twice) from None
    except TypeError:
        raise TableError(
            Sentence("cannot read a table from a {name}", name=type(source).__name__),
            do=Sentence("Pass 'iris', the path of a .csv, .tsv, .txt or .parquet file, or a frame of polars or pandas"),
        ) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    if len(frame.columns) > MAX_COLUMNS:
        raise TableError(Sentence("table '{name}' has more than {most:,} columns", name=name, most=MAX_COLUMNS))
    # pandas allows names that are not strings.
    renamed = {column: str(column) for column in frame.columns if not isinstance(column, str)}
    return Table(name, frame.rename(renamed) if renamed else frame, notes)


def _read_file(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    reader = _READERS.get(path.suffix.lower())
    try:
        start = _first_bytes(path)
        if reader is None:
            raise TableError(
                Sentence(
                    "cannot read '{path}': its name ends in none of {listed}", path=path, listed=", ".join(_READERS)
                ),
                do=Sentence("Convert it, or read it with polars or pandas and pass the frame to hotloop.tables.read"),
            )
        if reader is not _read_parquet:
            _refuse_binary(start, path)
        return reader(path)
    except OSError as error:
        raise TableError(
            Sentence("cannot read '{path}': {reason}", path=path, reason=error.strerror or error)
        ) from None


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise TableError(
            Sentence("cannot read '{path}': it is a directory", path=path), do=Sentence("Name one file in it")
        )
    try:
        with path.open("rb") as file:
            return file.read(8)
    except FileNotFoundError:
        near = nearest(path.name, _names_beside(path)) or nearest(str(path), ["iris"])
        raise TableError(Sentence("cannot read '{path}': there is no such file.{near}", path=path, near=near)) from None


def _names_beside(path: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return []


_MAGIC = {
    b"\x1f\x8b": Sentence("a gzip archive"),
    b"PK\x03\x04": Sentence("a zip archive or an Excel workbook"),
    b"\xd0\xcf\x11\xe0": Sentence("an old Excel workbook"),
    b"\x28\xb5\x2f\xfd": Sentence("a zstd archive"),
    b"\xfd7zXZ": Sentence("an xz archive"),
    b"BZh": Sentence("a bzip2 archive"),
    b"PAR1": Sentence("a Parquet file"),
    b"ARROW1": Sentence("an Arrow file"),
    b"SQLite": Sentence("a SQLite database"),
    b"\x89HDF": Sentence("an HDF5 file"),
    b"%PDF-": Sentence("a PDF document"),
}


def _refuse_binary(start: bytes, path: Path) -> None:
    found = next((what for magic, what in _MAGIC.items() if start.startswith(magic)), None)
    if found:
        raise TableError(
            Sentence("cannot read '{path}': it is {found}, whatever its name says", path=path, found=found),
            do=Sentence("Rename it to .parquet")
            if start.startswith(b"PAR1")
            else Sentence("Unpack it or export it as CSV"),
        )


def _read_parquet(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    import polars as pl

    try:
        # Through open files: polars would read a path with a * in it as a pattern.
        with path.open("rb") as file:
            if len(pl.read_parquet_schema(file)) > MAX_COLUMNS:
                raise TableError(
                    Sentence(
                        "cannot read '{path}': it has more than {most:,} columns",
                        path=path,
                        most=MAX_COLUMNS,
                    )
                )
        with path.open("rb") as file:
            return pl.read_parquet(file), ()
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise TableError(
            Sentence("cannot read '{path}': it is damaged, cut short or no Parquet file", path=path), why=reason
        ) from None


def _read_csv(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    from hotloop.tables.csv_file import read_csv

    return read_csv(path)


def _read_tsv(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    from hotloop.tables.csv_file import read_csv

    return read_csv(path, separator="\t")


_READERS: dict[str, Callable[[Path], tuple[pl.DataFrame, tuple[str, ...]]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".txt": _read_csv,
    ".parquet": _read_parquet,
}
