"""Paths as a person gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hotloop.errors import ArgumentError
from hotloop.sentence import Sentence

__all__ = ["as_path"]


def as_path(given: Any, name: str = "path") -> Path:
    """Return what was given for the argument ``name`` as a Path.

    Raises
    ------
    ArgumentError
        It is neither a text nor a path.
    """
    try:
        return Path(given)
    except TypeError:
        raise ArgumentError(
            Sentence("{name} is {given!r}; it must be a path, such as 'runs/iris'", name=name, given=given)
        ) from None
