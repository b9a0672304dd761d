"""What a killed process leaves beside the files it was writing: found by its name, swept when it is a day old."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

__all__ = ["hidden_name", "remove", "sweep"]

_HIDDEN = re.compile(r"\.hotloop-[0-9a-f]{16}\.partial")
# Nothing takes a day to write; and the clocks of two machines on one disk differ by less.
_STALE_S = 86_400


def hidden_name(parent: Path) -> Path:
    """Return a temporary name in ``parent`` that nobody can guess."""
    return parent / f".hotloop-{os.urandom(8).hex()}.partial"


def sweep(parent: Path) -> None:
    """Remove what was left in ``parent`` a day ago or earlier; what cannot be removed stays."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if _HIDDEN.fullmatch(entry.name) and _age_s(entry) > _STALE_S:
                remove(Path(entry))


def remove(path: Path) -> None:
    """Remove a file, or a directory of files, if possible."""
    with contextlib.suppress(OSError):
        if not path.is_dir() or path.is_symlink():
            path.unlink()
            return
        for entry in list(path.iterdir()):
            entry.unlink()
        path.rmdir()


def _age_s(entry: os.DirEntry[str]) -> float:
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime
    except OSError:
        return 0.0
