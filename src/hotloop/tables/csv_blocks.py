"""A text file as a sequence of UTF-8 blocks that end where a record ends.

Reading block by block keeps memory flat (the whole text is never held) and gives every error a line
number. Byte-order marks, UTF-16 and old line endings are dealt with here, so that what follows sees UTF-8.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hotloop.errors import TableError
from hotloop.sentence import Sentence
from hotloop.tables.csv_records import complete_length
from hotloop.tables.table import MAX_COLUMNS

__all__ = ["BLOCK_BYTES", "Block", "blocks", "too_many_columns"]

# 4 MiB: large enough that the cost per block vanishes, small enough that a block's strings do not show
# in the peak memory of reading a large table.
BLOCK_BYTES = 4 << 20

# UTF-32's mark begins with UTF-16's, so it is looked for first. UTF-8 is not decoded here but checked
# later, where the line is known.
_ENCODINGS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: None,
}


@dataclass(frozen=True)
class Block:
    """Whole records of a text file.

    Parameters
    ----------
    data : bytes
        UTF-8 text that ends with a line feed.
    first_line : int
        The line of the file, from 1, at which it begins.
    """

    data: bytes
    first_line: int

    def line_at(self, position: int) -> int:
        """Return the line of the file in which byte ``position`` of this block lies."""
        return self.first_line + self.data.count(b"\n", 0, position)


def blocks(path: Path) -> Iterator[Block]:
    """Yield the records of a text file in blocks of about 4 MiB.

    Raises
    ------
    TableError
        When the bytes are no text (NUL, wrong encoding), a quote is never closed, or one record is
        larger than a block; it names the line.
    """
    with path.open("rb") as file:
        yield from _checked(_cut(_line_feeds(_utf8(file, path)), path), path)


def _utf8(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Drop a byte-order mark; turn UTF-16 and UTF-32 into UTF-8."""
    start = file.read(4)
    mark = next((mark for mark in _ENCODINGS if start.startswith(mark)), b"")
    encoding = _ENCODINGS.get(mark)
    file.seek(0 if encoding else len(mark))
    parts = iter(lambda: file.read(BLOCK_BYTES), b"")
    yield from _decoded(parts, encoding, path) if encoding else parts


def _decoded(parts: Iterator[bytes], encoding: str, path: Path) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for part in parts:
            yield decoder.decode(part).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise TableError(
            Sentence(
                "cannot read '{path}': its mark says {encoding}, but its bytes are not ({error})",
                path=path,
                encoding=encoding.upper(),
                error=error,
            ),
            do=Sentence("Save it as UTF-8 text"),
        ) from None


def _line_feeds(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Turn the bare carriage returns of old files into line feeds, when there is nothing else."""
    old_style = False
    for number, part in enumerate(parts):
        if number == 0:
            old_style = b"\r" in part and b"\n" not in part
        yield part.replace(b"\r", b"\n") if old_style else part


def _cut(parts: Iterator[bytes], path: Path) -> Iterator[Block]:
    """Cut the text where a record ends: at a line feed outside quotes."""
    line, rest = 1, b""
    for part in parts:
        rest += part
        length = complete_length(rest)
        if length:
            block, rest = Block(rest[:length], line), rest[length:]
            line += block.data.count(b"\n")
            yield block
        if len(rest) > BLOCK_BYTES:
            raise _endless_record(rest, line, path)
    if rest and complete_length(rest + b"\n"):
        yield Block(rest + b"\n", line)
    elif rest:
        raise TableError(
            Sentence(
                "cannot read '{path}': a quote opened in or after line {line:,} is never closed", path=path, line=line
            ),
            do=Sentence("Close it, or write a quote inside a field twice"),
        )


def _endless_record(data: bytes, line: int, path: Path) -> TableError:
    if line == 1 and max(data.count(mark) for mark in (b",", b";", b"\t")) >= MAX_COLUMNS:
        return too_many_columns(path)
    return TableError(
        Sentence(
            "cannot read '{path}': the record that begins in line {line:,} is longer than 4 MiB", path=path, line=line
        ),
        why=Sentence("most likely a quote is opened and never closed"),
    )


def too_many_columns(path: Path) -> TableError:
    """Return the error for a file of more columns than a table may have."""
    return TableError(
        Sentence(
            "cannot read '{path}': its header names more than {most:,} columns",
            path=path,
            most=MAX_COLUMNS,
        ),
        do=Sentence("Keep the columns that matter, or turn the table on its side"),
    )


def _checked(parts: Iterator[Block], path: Path) -> Iterator[Block]:
    """Refuse blocks that hold no UTF-8 text."""
    for block in parts:
        nul = block.data.find(b"\0")
        if nul >= 0:
            raise TableError(
                Sentence("cannot read '{path}': a NUL byte in line {line:,}", path=path, line=block.line_at(nul)),
                why=Sentence("it is not text, or UTF-16 without a byte-order mark"),
                do=Sentence("Save it as UTF-8 text"),
            )
        # Testing for ASCII allocates nothing, and most tables are.
        if not block.data.isascii():
            _require_utf8(block, path)
        yield block


def _require_utf8(block: Block, path: Path) -> None:
    try:
        block.data.decode()
    except UnicodeDecodeError as error:
        raise TableError(
            Sentence(
                "cannot read '{path}': line {line:,} is not UTF-8 (byte 0x{data:02x})",
                path=path,
                line=block.line_at(error.start),
                data=block.data[error.start],
            ),
            do=Sentence("Save it as UTF-8 text"),
        ) from None
