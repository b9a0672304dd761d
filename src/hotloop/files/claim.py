"""A name for one process at a time: who holds the claim to it may write the files of that name.

A claim is a lock on an empty file beside them. The system lets go of it when its process ends, however it ends; the
file that a killed process leaves claims nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from types import TracebackType

from hotloop.files.atomic import refusals

__all__ = ["Claim", "claim"]

_ATTEMPTS = 100


class Claim:
    """A claim held; let go of it with :meth:`release`, or at the end of a ``with`` block."""

    def __init__(self, lock: Path, descriptor: int, made: list[Path]):
        self._lock, self._descriptor, self._made = lock, descriptor, made

    def release(self) -> None:
        """Let go, and leave nothing behind: not the lock, nor folders made for it in which nothing was written."""
        try:
            self._lock.unlink()
            os.close(self._descriptor)
        except OSError:  # Windows removes no file that is open
            os.close(self._descriptor)
            with contextlib.suppress(OSError):
                self._lock.unlink()
        with contextlib.suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def claim(path: Path) -> Claim | None:
    """Claim the name ``path``, whose folder is made where it is missing.

    Returns
    -------
    Claim, or None where another process, or another part of this one, holds it

    Raises
    ------
    OutputError
        Nothing can be written there.
    """
    lock = path.with_name(f".hotloop-{path.name}.lock")
    with refusals(path):
        made = [folder for folder in lock.parents if not folder.exists()]
        for attempt in range(_ATTEMPTS):
            try:
                lock.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
            except (FileExistsError, FileNotFoundError):  # another claim removed the folder just now
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            if not _try_lock(descriptor):
                os.close(descriptor)
                return None
            # Who held it before may have removed the file that we opened.
            if _is_at(descriptor, lock):
                return Claim(lock, descriptor, made)
            os.close(descriptor)
    return None


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # Some network disks have no locks: there, nobody is kept out.
            return True
        return True
