"""Text from files and their names, made fit to be shown: on one line, every sign visible."""

from __future__ import annotations

__all__ = ["one_line"]


def one_line(text: str) -> str:
    """Return ``text`` on one line; what a terminal or page would obey instead of showing is written as its escape."""
    line = " ".join(text.split())
    return line if line.isprintable() else "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)
