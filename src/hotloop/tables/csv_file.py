"""A CSV file to a frame, block by block.

Each block is parsed straight into the types its columns have had so far. Where that fails, it is read as
text and every column's kind is looked at again; a column whose kinds do not go together is read once more,
as text, when the file is through. Peak memory is the values themselves and one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.errors import TableError
from hotloop.sentence import Sentence, counted
from hotloop.tables.csv_blocks import Block, blocks
from hotloop.tables.csv_columns import TEXT, TextKind, clean, kind_after, parse, polars_type
from hotloop.tables.csv_header import Header, read_header
from hotloop.tables.csv_records import find_records
from hotloop.tables.growing_numbers import GrowingNumbers

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_csv"]

_MOSTLY_NUMBERS = 0.9
# Rows are foreseen from the size of the file and of the rows read so far; a little more than that.
_FORESEEN = 1.05


def read_csv(path: Path, separator: str | None = None) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read a CSV file.

    Parameters
    ----------
    path : Path
        UTF-8, or UTF-16 or UTF-32 with a byte-order mark.
    separator : str, optional
        The field separator; detected from the header by default.

    Returns
    -------
    frame : polars.DataFrame
        Columns of Int64, Float64, Boolean, Datetime or String; missing values null.
    notes : tuple of str
        What reading had to decide, as sentences.

    Raises
    ------
    TableError
        When the file is no such text; it names the line.
    """
    first = next(blocks(path), None)
    if first is None:
        raise TableError(Sentence("cannot read '{path}': it is empty", path=path))
    header = read_header(first, path, separator)
    reader = _Reader(path, header).read()
    if reader.mixed:
        reader = _Reader(path, header, as_text=frozenset(reader.mixed)).read()
    frame = reader.frame()
    if not frame.height:
        raise TableError(Sentence("cannot read '{path}': it has a header but no rows", path=path))
    _refuse_stray_texts(frame, path, header)
    return frame, (*header.notes, *reader.notes())


def data_blocks(path: Path, header: Header) -> Iterator[Block]:
    """Yield the file's blocks without the header."""
    for number, block in enumerate(blocks(path)):
        if number == 0:
            block = Block(block.data[header.length :], block.line_at(header.length))
        if block.data:
            yield block


@dataclass
class _Reader:
    """One pass over a file: what is known of its columns so far, and the parts read."""

    path: Path
    header: Header
    as_text: frozenset[str] = frozenset()
    kinds: dict[str, TextKind | None] = field(default_factory=dict)
    mixed: set[str] = field(default_factory=set)
    parts: list[pl.DataFrame] = field(default_factory=list)
    numbers: dict[str, GrowingNumbers] = field(default_factory=dict)

    def read(self) -> _Reader:
        self.kinds = {name: TEXT if name in self.as_text else None for name in self.header.names}
        for block in data_blocks(self.path, self.header):
            part = self._parse_fast(block)
            # polars refuses a row with too many fields but fills one with too few, so that a short row
            # (or a blank line) always shows as a null in the last column.
            if part is None or part[:, -1].null_count():
                block = self._well_formed(block)
                if not block.data:
                    continue
                part = self._parse_fast(block)
            self._keep(self._typed(self._parse_text(block) if part is None else part), len(block.data))
        return self

    def _keep(self, part: pl.DataFrame, n_bytes: int) -> None:
        """Move the numbers to where they grow; keep the other columns as they are."""
        for name, kind in self.kinds.items():
            if kind is None or kind.dtype != "Float64" or name in self.mixed:
                continue
            if name not in self.numbers:
                n_foreseen = int(_FORESEEN * part.height * self.path.stat().st_size / n_bytes)
                self.numbers[name] = GrowingNumbers(n_foreseen)
                # What came before was whole numbers, or nothing.
                for earlier in self.parts:
                    self.numbers[name].append(earlier[name])
                self.parts = [earlier.drop(name) for earlier in self.parts]
            self.numbers[name].append(part[name])
        self.parts.append(part.select(name for name in part.columns if name not in self.numbers))

    def frame(self) -> pl.DataFrame:
        import polars as pl

        columns = []
        for name, kind in self.kinds.items():
            if name in self.numbers:
                columns.append(self.numbers[name].series(name))
            else:
                dtype = polars_type(kind or TEXT)
                parts = [part[name].cast(dtype) for part in self.parts]
                columns.append(pl.concat(parts) if parts else pl.Series(name, dtype=dtype))
        return pl.DataFrame(columns)

    def notes(self) -> tuple[str, ...]:
        commas = [name for name, kind in self.kinds.items() if kind and kind.name == "decimal comma"]
        return tuple(
            Sentence("'{name}' is written with decimal commas: 3,14 is read as 3.14.", name=name) for name in commas
        )

    def _parse_fast(self, block: Block) -> pl.DataFrame | None:
        return self._parse(block, {n: polars_type(k) for n, k in self.kinds.items() if k and k.fast})

    def _parse_text(self, block: Block) -> pl.DataFrame:
        part = self._parse(block, {})
        if part is None:
            raise self._malformed(block)
        return part

    def _parse(self, block: Block, types: dict[str, Any]) -> pl.DataFrame | None:
        import polars as pl

        schema = {name: types.get(name, pl.String) for name in self.header.names}
        try:
            return pl.read_csv(block.data, has_header=False, schema=schema, separator=self.header.separator)
        except pl.exceptions.PolarsError:
            return None

    def _typed(self, part: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        texts = [s for s in part if s.dtype == pl.String and s.name not in self.mixed]
        return part.with_columns(self._column(s) for s in texts)

    def _column(self, texts: pl.Series) -> pl.Series:
        texts, known = clean(texts), self.kinds[texts.name]
        if texts.null_count() == len(texts):
            return texts
        # The usual case, a kind that goes on, needs no search.
        kind = known if known and known.fits(texts) else kind_after(texts, known, self.header.separator)
        if kind is None:
            self.mixed.add(texts.name)
            return texts.clear(len(texts))
        self.kinds[texts.name] = kind
        return parse(texts, kind)

    def _well_formed(self, block: Block) -> Block:
        """Refuse rows with too few or too many fields; drop blank lines."""
        records = find_records(block.data, self.header.separator)
        expected = len(self.header.names)
        blank = records.blank & (expected > 1)
        ragged = np.flatnonzero((records.n_fields != expected) & ~blank)
        if len(ragged):
            first = int(ragged[0])
            line = block.line_at(int(records.starts[first]))
            count = int(records.n_fields[first])
            raise TableError(
                counted(
                    "cannot read '{path}': line {line:,} has {n:,} field, the header has {expected:,}",
                    "cannot read '{path}': line {line:,} has {n:,} fields, the header has {expected:,}",
                    count,
                    path=self.path,
                    line=line,
                    expected=expected,
                ),
                do=Sentence("Quote fields that contain the separator, or complete the row"),
            )
        if not blank.any():
            return block
        keep = np.repeat(~blank, records.ends - records.starts)
        return replace(block, data=np.frombuffer(block.data, np.uint8)[keep].tobytes())

    def _malformed(self, block: Block) -> TableError:
        """Find the one record that polars cannot read, by halving."""
        records = find_records(block.data, self.header.separator)
        low, high = 0, len(records.ends)
        while high - low > 1:
            middle = (low + high) // 2
            part = Block(block.data[records.starts[low] : records.ends[middle - 1]], block.first_line)
            low, high = (low, middle) if self._parse(part, {}) is None else (middle, high)
        record = block.data[records.starts[low] : records.ends[low]].decode().strip()
        return TableError(
            Sentence(
                "cannot read '{path}': line {line:,} is malformed: {record}",
                path=self.path,
                line=block.line_at(int(records.starts[low])),
                record=record[:60],
            ),
            do=Sentence("Check its quotes: a quoted field ends at the separator, and a quote inside it is doubled"),
        )


def _refuse_stray_texts(frame: pl.DataFrame, path: Path, header: Header) -> None:
    """Refuse a column of numbers with a few texts in it: more likely an error than a category."""
    import polars as pl

    for texts in frame:
        if texts.dtype != pl.String:
            continue
        stray = texts.cast(pl.Float64, strict=False).is_null() & texts.is_not_null()
        n_present, n_stray = len(texts) - texts.null_count(), stray.sum()
        if 0 < n_stray < (1 - _MOSTLY_NUMBERS) * n_present:
            row = stray.arg_max() or 0
            raise TableError(
                Sentence(
                    "cannot read '{path}': column '{name}' holds '{text}' in line {line:,}, "
                    "where {n_present:,} values are numbers",
                    path=path,
                    name=texts.name,
                    text=texts[row],
                    line=_line_of_row(path, header, row),
                    n_present=n_present - n_stray,
                ),
                do=Sentence("Correct it, or leave the field empty if the value is missing"),
            )


def _line_of_row(path: Path, header: Header, row: int) -> int:
    """Return the line at which data row ``row`` (from 0) begins."""
    for block in data_blocks(path, header):
        records = find_records(block.data, header.separator)
        starts = records.starts[~records.blank] if len(header.names) > 1 else records.starts
        if row < len(starts):
            return block.line_at(int(starts[row]))
        row -= len(starts)
    raise AssertionError("the row was read from this file")
