"""Hints that errors give to whoever calls a function, in the words of the command line."""

from __future__ import annotations

import re

from hotloop.errors import HotloopError

__all__ = ["in_options"]

_ARGUMENT = re.compile(r'\b([a-z_]+)="([^"]*)"')


def in_options(error: HotloopError, command: str) -> HotloopError:
    """Point to the command's help instead of a function's, and write ``device="cpu"`` as ``--device cpu``."""
    if error.see and error.see.startswith("help("):
        error.see = f"{command} --help"
    if error.do:
        error.do = _ARGUMENT.sub(lambda found: f"--{found[1].replace('_', '-')} {found[2]}", error.do)
    return error
