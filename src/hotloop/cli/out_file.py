"""``--out FILE``: looked at before anything is measured for it."""

from __future__ import annotations

from pathlib import Path

from hotloop.errors import ArgumentError
from hotloop.language import Sentence

__all__ = ["check_out"]


def check_out(out: Path | None) -> None:
    """Raise where a file could not be written.

    Raises
    ------
    ArgumentError
        If it is a folder, or its folder is not there.
    OutputError
        If its folder cannot be written to.
    """
    from hotloop.files import check_writable

    if out is None:
        return
    if out.is_dir() or not out.parent.is_dir():
        raise ArgumentError(Sentence("--out {path} is no file in a folder that is there", path=out))
    check_writable(out.parent)
