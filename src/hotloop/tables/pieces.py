"""Long columns in pieces: what is computed in between then stays in the cache, and out of the peak memory."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["pieces"]

_PIECE_ROWS = 65_536


def pieces(n_rows: int) -> Iterator[slice]:
    """Yield slices of at most 65,536 rows that cover ``n_rows``."""
    for start in range(0, n_rows, _PIECE_ROWS):
        yield slice(start, min(start + _PIECE_ROWS, n_rows))
