"""Every ``HOTLOOP_*`` environment variable: values, default, meaning.

================= ============ ======= =================================================================
variable          values       default meaning
================= ============ ======= =================================================================
HOTLOOP_DEBUG     0 to 5       0       how much is shown, see below
HOTLOOP_DUMP      a directory  none    the compiler keeps the code that it writes there
HOTLOOP_VERIFY    0 or 1       1       0: the compiler does not check its programs between passes
HOTLOOP_CACHE_DIR a directory  none    where compiled code is kept, in place of the user's cache folder
HOTLOOP_NO_CACHE  0 or 1       0       1: compiled code is neither kept nor looked for
================= ============ ======= =================================================================

``HOTLOOP_DEBUG`` shows, each level with all of the levels below it:

===== ====================================================================
level shown
===== ====================================================================
0     one line for a failing command
1     the whole traceback of a failing command, and the device
2     the time of each stage
3     the passes that changed something
4     the code that is generated
5     the program after each pass
===== ====================================================================
"""

from __future__ import annotations

import os
from pathlib import Path

from hotloop.errors import ArgumentError

__all__ = ["cache_directory_override", "debug_level", "dump_directory", "uses_cache", "verifies"]

_HIGHEST_DEBUG_LEVEL = 5


def debug_level() -> int:
    """Return ``HOTLOOP_DEBUG`` as a number.

    Raises
    ------
    ArgumentError
        If the variable holds anything but a number from 0 to 5.
    """
    return _number("HOTLOOP_DEBUG", default=0, highest=_HIGHEST_DEBUG_LEVEL)


def dump_directory() -> Path | None:
    """Return ``HOTLOOP_DUMP``, the directory where the compiler keeps what it writes; None: nowhere.

    Raises
    ------
    ArgumentError
        If the variable names a file.
    """
    return _directory("HOTLOOP_DUMP")


def verifies() -> bool:
    """Return ``HOTLOOP_VERIFY``: whether the compiler checks its programs.

    Raises
    ------
    ArgumentError
        If the variable holds anything but 0 or 1.
    """
    return _number("HOTLOOP_VERIFY", default=1, highest=1) == 1


def cache_directory_override() -> Path | None:
    """Return ``HOTLOOP_CACHE_DIR``, where compiled code is kept; None: in the user's cache folder.

    Raises
    ------
    ArgumentError
        If the variable names a file.
    """
    return _directory("HOTLOOP_CACHE_DIR")


def uses_cache() -> bool:
    """Return whether compiled code is kept and looked for: ``HOTLOOP_NO_CACHE`` is not 1.

    Raises
    ------
    ArgumentError
        If the variable holds anything but 0 or 1.
    """
    return _number("HOTLOOP_NO_CACHE", default=0, highest=1) == 0


def _number(variable: str, *, default: int, highest: int) -> int:
    """Return a variable's one digit; unset and empty are the default."""
    text = os.environ.get(variable) or str(default)
    allowed = [str(number) for number in range(highest + 1)]
    if text not in allowed:
        listed = " or ".join(allowed) if highest == 1 else f"a number from 0 to {highest}"
        raise ArgumentError(f"{variable} is {text!r}", do=f"set it to {listed}")
    return int(text)


def _directory(variable: str) -> Path | None:
    """Return a variable's directory, which need not exist yet; unset and empty are None."""
    text = os.environ.get(variable)
    if not text:
        return None
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise ArgumentError(f"{variable} is {text!r}, a file", do="set it to a directory")
    return path
