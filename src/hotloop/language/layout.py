"""Columns and lines of text that may hold Chinese, whose characters take two columns of a terminal each."""

from __future__ import annotations

import re
import textwrap

__all__ = ["display_width", "pad", "wrap"]

# No line begins with these, and none ends with the others.
_CLOSING = "，。、；：？！）》」』】”’…％"
_OPENING = "（《「『【“‘"
# CJK punctuation, kana, ideographs, full-width forms: a line may break beside any of them.
_WIDE = r"\u3001-\u303f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60"
_PIECE = re.compile(rf"[{_OPENING}]*[{_WIDE}][{_CLOSING}]*|[{_OPENING}]*[^\s{_WIDE}{_OPENING}]+[{_CLOSING}]*|\s+|.")


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    columns = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.combining(sign) else columns.get(unicodedata.east_asian_width(sign), 1) for sign in text
    )


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill a text with spaces up to so many columns; ``right`` moves it to the right end."""
    space = " " * (width - display_width(text))
    return space + text if right else text + space


def wrap(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """Break a text into lines of at most so many columns.

    Parameters
    ----------
    text : str
    width : int
    first, rest : str
        What the first line and the others begin with.
    """
    if text.isascii() and first.isascii():
        return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest)
    lines, line, used = [], first, display_width(first)
    is_empty = True
    for piece in _PIECE.findall(text.strip()):
        columns = display_width(piece)
        if piece.isspace() and is_empty:
            continue
        if not is_empty and not piece.isspace() and used + columns > width:
            lines.append(line.rstrip())
            line, used = rest, display_width(rest)
        line, used, is_empty = line + (" " if piece.isspace() else piece), used + columns, False
    return [*lines, line.rstrip()]
