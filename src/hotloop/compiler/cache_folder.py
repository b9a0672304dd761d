"""Where compiled code is kept: a directory that only its owner can write.

Whoever can write there can run code as the person who compiles. So a directory that belongs to another user, or
that others may write, is not used, and code is compiled each time.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from hotloop.config import cache_directory_override, uses_cache

__all__ = ["belongs_to_us_alone", "cache_directory"]

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_directory() -> Path | None:
    """Return the directory for compiled code, made where it is missing; None where code cannot be kept safely.

    Raises
    ------
    ArgumentError
        A ``HOTLOOP_*`` variable is wrong.
    """
    if not uses_cache():
        return None
    try:
        directory = cache_directory_override() or _user_cache() / "hotloop"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory.resolve() if belongs_to_us_alone(directory.stat()) else None
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where this user's home is
        return None


def belongs_to_us_alone(facts: os.stat_result) -> bool:
    """Return whether a file or directory is ours and nobody else may write it."""
    if not hasattr(os, "getuid"):  # Windows: the user's folder is protected by access lists
        return True
    return facts.st_uid == os.getuid() and not facts.st_mode & _OTHERS_WRITE


def _user_cache() -> Path:
    """Return the folder that the system has for what can be made again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    named = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return named if named.is_absolute() else Path.home() / ".cache"
