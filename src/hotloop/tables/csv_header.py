"""The first record of a CSV file: its separator and the names of the columns."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hotloop.errors import TableError
from hotloop.sentence import Sentence
from hotloop.tables.csv_blocks import Block, too_many_columns
from hotloop.tables.csv_records import find_records
from hotloop.tables.table import MAX_COLUMNS

__all__ = ["Header", "read_header"]

_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Header:
    """What the first record says.

    Parameters
    ----------
    names : tuple of str
        Column names, white space around them removed.
    separator : str
        The character between fields.
    length : int
        Bytes of the first block that the header, and any blank lines before it, take up.
    notes : tuple of str
        Sentences to print.
    """

    names: tuple[str, ...]
    separator: str
    length: int
    notes: tuple[str, ...] = ()


def read_header(block: Block, path: Path, separator: str | None = None) -> Header:
    """Read the header from the first block of a file.

    Parameters
    ----------
    block : Block
        The file's first records.
    path : Path
        For messages.
    separator : str, optional
        The field separator; by default the one of ``, ; tab |`` that cuts the header and the first row
        into equally many fields, and into most.

    Raises
    ------
    TableError
        When there is no header, a name occurs twice, or there are more than 10,000 columns.
    """
    records = find_records(block.data, ",")
    visible = (~records.blank).nonzero()[0]
    if not len(visible):
        raise TableError(Sentence("cannot read '{path}': it is empty", path=path))
    texts = [block.data[records.starts[i] : records.ends[i]].decode() for i in visible[:2]]
    separator = separator or _detect_separator(*texts)
    if texts[0].count(separator) >= MAX_COLUMNS:
        raise too_many_columns(path)
    names = [name.strip() for name in _fields(texts[0], separator)]
    notes = _name_the_nameless(names)
    _refuse_duplicates(names, path)
    return Header(tuple(names), separator, int(records.ends[visible[0]]), (*notes, *_doubt(names)))


def _detect_separator(header: str, first_row: str | None = None) -> str:
    def merit(separator: str) -> tuple[bool, int]:
        # Counting first: cutting up a header of a million names is not worth it.
        if header.count(separator) >= MAX_COLUMNS:
            return True, MAX_COLUMNS
        n_fields = len(_fields(header, separator))
        return n_fields > 1 and first_row is not None and len(_fields(first_row, separator)) == n_fields, n_fields

    return max(_SEPARATORS, key=merit)


def _fields(record: str, separator: str) -> list[str]:
    # strict=False never raises on odd quotes; the reader proper refuses them with the line.
    csv.field_size_limit(max(csv.field_size_limit(), len(record)))
    return next(csv.reader(io.StringIO(record, newline=""), delimiter=separator), [""])


def _name_the_nameless(names: list[str]) -> tuple[str, ...]:
    nameless = [i for i, name in enumerate(names) if not name]
    for i in nameless:
        names[i] = f"column {i + 1}"
    if not nameless:
        return ()
    listed = ", ".join(f"'{names[i]}'" for i in nameless)
    return (Sentence("The header leaves {n} of its names empty: called {listed}.", n=len(nameless), listed=listed),)


def _refuse_duplicates(names: list[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TableError(
            Sentence(
                "cannot read '{path}': its header names {listed} more than once",
                path=path,
                listed=", ".join(map(repr, twice)),
            ),
            do=Sentence("Give every column a name of its own"),
        )


def _doubt(names: list[str]) -> tuple[str, ...]:
    """Say so when the names look like a row of numbers."""
    numeric = [name for name in names if name.replace(".", "", 1).lstrip("+-").isdecimal() and "." in name]
    if 2 * len(numeric) <= len(names):
        return ()
    listed = ", ".join(names[:3])
    return (
        Sentence("The first line ({listed} ...) is taken as the header, though it looks like numbers.", listed=listed),
    )
