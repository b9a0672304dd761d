"""Compiled code on disk, for the next process that trains the same network.

An entry is one file: eight bytes that tell the format, the SHA-256 of key and code, the code. It is written beside
and renamed into place, so that many processes may write the same entry at once. It is not flushed to the disk:
what a power cut tears is found by its checksum. Whatever is wrong with an entry, it counts as missing, is
compiled again and replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from hotloop.compiler.cache_folder import belongs_to_us_alone

__all__ = ["CAPACITY_BYTES", "ObjectCache"]

CAPACITY_BYTES = 256 * 2**20

_FORMAT = b"hotloop1"
_HEADER_BYTES = len(_FORMAT) + hashlib.sha256().digest_size
_ENTRY = re.compile(r"[0-9a-f]{64}\.object")
_PARTIAL = re.compile(r"\.hotloop-[0-9a-f]{16}\.partial")
_ABANDONED_SECONDS = 3600.0
_KEPT_SHARE = 0.75  # some room is made at once, so that it need not be made often
# Neither follow a link nor wait for a pipe that somebody put there.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class ObjectCache:
    """Bytes by key in a directory. Never raises for what the disk does: a cache that fails is an empty one.

    Parameters
    ----------
    directory : Path or None
        What `hotloop.compiler.cache_folder.cache_directory` returned; with None nothing is kept.
    capacity_bytes : int
        What is kept at most, but for a few entries; the entries that were not used for longest go first.
    """

    def __init__(self, directory: Path | None, capacity_bytes: int = CAPACITY_BYTES):
        self._directory, self._capacity_bytes = directory, capacity_bytes

    def get(self, key: str) -> bytes | None:
        """Return what was put for ``key``, whole; None where it is missing or not to be trusted."""
        if self._directory is None:
            return None
        path = self._directory / _file_name(key)
        try:
            content = _read_own_file(path)
        except OSError:
            return None
        data = content[_HEADER_BYTES:]
        if content[:_HEADER_BYTES] != _header(key, data):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the time of its last use
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep ``data`` for ``key`` if the disk allows it."""
        if self._directory is None or len(data) > self._capacity_bytes:
            return
        name = _file_name(key)
        with contextlib.suppress(OSError):
            _replace(self._directory / name, _header(key, data) + data)
        if name[0] == "0":  # one entry in sixteen, so that putting stays cheap in a full directory
            self._make_room()

    def _make_room(self) -> None:
        """Delete the entries that were not used for longest, where there are too many bytes."""
        assert self._directory is not None
        _delete_abandoned(self._directory)
        entries = sorted(_files(self._directory, _ENTRY))
        total = sum(size for _, size, _ in entries)
        if total <= self._capacity_bytes:
            return
        for _, size, path in entries:
            if total <= _KEPT_SHARE * self._capacity_bytes:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size


def _file_name(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()}.object"


def _header(key: str, data: bytes) -> bytes:
    # The key's digest has a fixed length, so that nothing can move between key and data.
    return _FORMAT + hashlib.sha256(hashlib.sha256(key.encode()).digest() + data).digest()


def _read_own_file(path: Path) -> bytes:
    """Read a file; raise OSError where others could have written it, whoever owns the directory by now."""
    with os.fdopen(os.open(path, _READ_FLAGS), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or not belongs_to_us_alone(facts):
            raise PermissionError(path)
        return file.read()


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".hotloop-{os.urandom(8).hex()}.partial")
    try:
        with os.fdopen(os.open(partial, _WRITE_FLAGS, 0o600), "wb") as file:
            file.write(content)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def _delete_abandoned(directory: Path) -> None:
    """Delete what processes left that were killed while they wrote."""
    for used, _, path in list(_files(directory, _PARTIAL)):
        if time.time() - used > _ABANDONED_SECONDS:
            with contextlib.suppress(OSError):
                path.unlink()


def _files(directory: Path, pattern: re.Pattern[str]) -> Iterator[tuple[float, int, Path]]:
    """Yield time of last use, size and path of the files named like ``pattern``; others are left alone."""
    with contextlib.suppress(OSError), os.scandir(directory) as listing:
        for file in listing:
            if pattern.fullmatch(file.name):
                with contextlib.suppress(OSError):
                    facts = file.stat(follow_symlinks=False)
                    yield facts.st_mtime, facts.st_size, Path(file.path)
