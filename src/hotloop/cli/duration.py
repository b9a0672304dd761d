"""Durations as options take them: 30, 30s, 2m, 1h."""

from __future__ import annotations

import math

from hotloop.errors import ArgumentError
from hotloop.language import Sentence

__all__ = ["seconds_of"]

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_S = 86_400.0


def seconds_of(text: str, option: str, least_s: float) -> float:
    """Return a duration in seconds.

    Raises
    ------
    ArgumentError
        If it is none, or not between ``least_s`` and a day.
    """
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS_S else (text, "s")
    try:
        seconds = float(number) * _UNITS_S[unit]
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        raise ArgumentError(
            Sentence("{option} takes a duration, not {text!r}", option=option, text=text),
            do=Sentence("use {setting}", setting="30s"),
        )
    if not least_s <= seconds <= _MOST_S:
        raise ArgumentError(
            Sentence("{option} {text} is not between {least:g}s and 24h", option=option, text=text, least=least_s)
        )
    return seconds
