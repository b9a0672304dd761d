"""Text from files and their names, made fit for one line of a terminal."""

from __future__ import annotations

from hotloop.language.one_line import one_line

__all__ = ["one_line"]
