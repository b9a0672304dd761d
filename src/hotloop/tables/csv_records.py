"""Where the records of a CSV text begin and end, and how many fields each has.

A record ends at a line feed outside quotes. A byte is inside quotes when an odd number of quotes stands
before it; a doubled quote flips twice, so it needs no rule of its own. All of it is array arithmetic:
no loop over bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Records", "complete_length", "find_records"]

_LINE_FEED, _QUOTE, _SPACE = ord("\n"), ord('"'), ord(" ")


@dataclass(frozen=True)
class Records:
    """The records of a text.

    Parameters
    ----------
    starts, ends : int64 arrays of shape (records,)
        Byte positions; a record includes its line feed.
    n_fields : int64 array of shape (records,)
        Fields in each, blank lines having one.
    blank : bool array of shape (records,)
        Which are lines of white space only.
    """

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    n_fields: NDArray[np.int64]
    blank: NDArray[np.bool_]


def complete_length(data: bytes) -> int:
    """Return how many leading bytes of ``data`` are whole records."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(_outside_quotes(text, text == _LINE_FEED))
    return int(ends[-1]) + 1 if len(ends) else 0


def find_records(data: bytes, separator: str) -> Records:
    """Find the records of a text that ends with a line feed outside quotes.

    Parameters
    ----------
    data : bytes
        UTF-8 text.
    separator : str
        One ASCII character.
    """
    text = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(_outside_quotes(text, text == _LINE_FEED)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    separators = np.flatnonzero(_outside_quotes(text, text == ord(separator)))
    n_fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    visible = np.add.reduceat(text > _SPACE, starts, dtype=np.int64)
    return Records(starts, ends, n_fields, blank=(visible == 0) & (n_fields == 1))


def _outside_quotes(text: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    quotes = text == _QUOTE
    if not quotes.any():
        return mask
    # Sums wrap at 256, an even number: their parity survives.
    inside = np.cumsum(quotes, dtype=np.uint8) & np.uint8(1)
    outside: NDArray[np.bool_] = inside == 0
    return mask & outside
