"""Consoles that cannot show every character: the codec error handler ``hotloop.glyphs`` writes what comes nearest.

A console in Chinese Windows shows GBK, which has Chinese and most box-drawing signs but neither a tick nor a thin
space; an ASCII one shows none of them.
"""

from __future__ import annotations

import codecs
import sys
from typing import IO, Any

__all__ = ["HANDLER", "can_show", "make_streams_safe"]

HANDLER = "hotloop.glyphs"

_NEAREST = {
    **dict.fromkeys("─━═╌┄╴╶╸╺‐‑‒–—", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╯╰", "+"),
    **dict.fromkeys("█▉▊▋▌▍▎▏▐▇▆▅▄▃▂▁", "#"),
    **dict.fromkeys("░▒▓·", "."),
    **dict.fromkeys("•●★◆", "*"),
    **dict.fromkeys("\u00a0\u2009\u202f\u2007\u3000", " "),
    **dict.fromkeys("µμ", "u"),
    **dict.fromkeys("✗✘✕×", "x"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("‘’", "'"),
    "→": "->",
    "←": "<-",
    "⇒": "=>",
    "✓": "+",
    "✔": "+",
    "…": "...",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "±": "+-",
    "−": "-",
    "²": "^2",
    "³": "^3",
    "▲": "^",
    "▼": "v",
    "®": "(R)",
    "™": "(TM)",
}


def make_streams_safe(*streams: IO[str] | Any) -> None:
    """Let streams write what comes nearest to a character that they cannot show; a question mark if nothing does."""
    codecs.register_error(HANDLER, _nearest)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)


def can_show(text: str, stream: IO[str] | Any = None) -> bool:
    """Whether a stream, standard output by default, has every character of a text."""
    encoding = getattr(sys.stdout if stream is None else stream, "encoding", None)
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _nearest(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_NEAREST.get(sign, "?") for sign in lost), error.end
