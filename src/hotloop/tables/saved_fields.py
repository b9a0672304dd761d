"""Checked reading of saved JSON: each function returns one field, or raises SavedRunError with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hotloop.errors import SavedRunError

__all__ = ["boolean", "exactly", "integer", "items", "number", "odd", "positive_number", "text", "texts"]


def odd(reason: str) -> SavedRunError:
    """Return the error for a saved schema that cannot be right."""
    return SavedRunError("the saved table schema is damaged", why=reason, do="Train again, or restore the run")


def exactly(saved: object, *names: str) -> Mapping[str, Any]:
    """Require an object with these fields and no others."""
    if not isinstance(saved, Mapping):
        raise odd(f"an object is needed, not {_shown(saved)}")
    if set(saved) != set(names):
        differing = sorted(map(str, set(saved) ^ set(names)))
        raise odd(f"fields missing or unknown: {', '.join(differing)}")
    return saved


def text(saved: Mapping[str, Any], name: str, *, one_of: tuple[str, ...] | None = None) -> str:
    """Return a text, one of a few where they are given."""
    value = saved.get(name)
    if not isinstance(value, str) or (one_of is not None and value not in one_of):
        raise odd(f"'{name}' is {_shown(value)}")
    return value


def boolean(saved: Mapping[str, Any], name: str) -> bool:
    """Return true or false."""
    value = saved[name]
    if not isinstance(value, bool):
        raise odd(f"'{name}' is {_shown(value)}")
    return value


def number(saved: Mapping[str, Any], name: str) -> float:
    """Return a finite number."""
    value = saved[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise odd(f"'{name}' is {_shown(value)}")
    return float(value)


def integer(saved: Mapping[str, Any], name: str) -> int:
    """Return a whole number of 64 bits, with or without a sign."""
    value = saved[name]
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 63) <= value < 1 << 64:
        raise odd(f"'{name}' is {_shown(value)}")
    return value


def positive_number(saved: Mapping[str, Any], name: str) -> float:
    """Return a finite number above zero."""
    value = number(saved, name)
    if value <= 0:
        raise odd(f"'{name}' is {_shown(value)}")
    return value


def items(saved: Mapping[str, Any], name: str, *, least: int, most: int) -> list[Any]:
    """Return a list of ``least`` to ``most`` values of any kind."""
    value = saved[name]
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise odd(f"'{name}' is {_shown(value)}")
    return value


def texts(saved: Mapping[str, Any], name: str, *, least: int = 1, most: int) -> tuple[str, ...]:
    """Return ``least`` to ``most`` different texts."""
    values = items(saved, name, least=least, most=most)
    if not all(isinstance(value, str) for value in values) or len(set(values)) != len(values):
        raise odd(f"'{name}' is {_shown(values)}")
    return tuple(values)


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
