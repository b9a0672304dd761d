"""Files that are whole or absent.

A file or run directory is written under a hidden temporary name beside its final one, flushed to the disk,
and only then renamed. So a crash, a kill or a full disk at any moment leaves what was there before, and at
most a hidden ``.hotloop-*.partial``, which is swept a day later.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hotloop.errors import ArgumentError, OutputError
from hotloop.files.leftovers import hidden_name, remove, sweep
from hotloop.sentence import Sentence

__all__ = ["check_writable", "publish_directory", "refusals", "write_atomically"]

Contents = bytes | Callable[[Path], bytes]  # made from the directory's final path

_PROBE_BYTES = 4096  # one block: an empty file can often be made on a full disk

_REASONS = {
    errno.ENOSPC: Sentence("the disk is full"),
    errno.EDQUOT: Sentence("the disk quota is used up"),
    errno.EFBIG: Sentence("a file of this size is not allowed here"),
    errno.EROFS: Sentence("the file system is read-only"),
    errno.EACCES: Sentence("permission denied"),
    errno.EPERM: Sentence("permission denied"),
    errno.EISDIR: Sentence("it is a directory"),
    errno.ENOENT: Sentence("its folder does not exist or takes no files"),
    errno.ENOTDIR: Sentence("a part of the path is a file, not a folder"),
    errno.ENAMETOOLONG: Sentence("the name is too long"),
    errno.ELOOP: Sentence("its symbolic links go round in a circle"),
}


def write_atomically(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write ``data`` to ``path`` so that readers see the former file or the new one, never a part.

    A symbolic link is followed, a file keeps its permissions, and a device or pipe is written directly.

    Raises
    ------
    OutputError
        The file cannot be written; the former file is intact.
    """
    path = Path(path)
    with refusals(path):
        former_mode = _mode_of(path)
        if former_mode is not None and not stat.S_ISREG(former_mode):
            _write_through(path, data)
            return path
        target = Path(os.path.realpath(path))  # replace what a link points to, not the link
        temporary = hidden_name(target.parent)
        try:
            _write_synced(temporary, data, former_mode)
            temporary.replace(target)
        except BaseException:
            remove(temporary)
            raise
        _sync_directory(target.parent)
        sweep(target.parent)
    return path


def publish_directory(parent: Path, name: str, files: Mapping[str, Contents], *, exact: bool = False) -> Path:
    """Create ``parent/name`` with all of ``files`` in it at once; ``name-2``, ... where it is taken.

    Safe among threads and processes: each caller gets a directory of its own, and none is seen half written.

    Parameters
    ----------
    files : mapping of file name to contents
        Contents are bytes, or a function that makes them from the directory's final path.
    exact : bool
        Refuse a name that is taken rather than number it.

    Returns
    -------
    The path that was published. ``parent`` is created where it is missing.

    Raises
    ------
    ArgumentError
        ``name`` is no file name.
    OutputError
        The directory cannot be written, or is taken and ``exact``.
    """
    if name in ("", ".", "..") or Path(name).name != name:
        raise ArgumentError(
            Sentence("'{parent}' does not name a new directory", parent=parent / name),
            do=Sentence("Use a path such as runs/iris."),
        )
    with refusals(parent / name):
        parent.mkdir(parents=True, exist_ok=True)
        temporary = hidden_name(parent)
        temporary.mkdir(mode=0o777)  # less the umask; the name is unguessable until it is published
        try:
            _write_all(temporary, {key: data for key, data in files.items() if isinstance(data, bytes)})
            published = _publish(temporary, parent / name, files, exact)
        except BaseException:
            remove(temporary)
            raise
        _sync_directory(parent)
        sweep(parent)
    return published


def _publish(temporary: Path, wanted: Path, files: Mapping[str, Contents], exact: bool) -> Path:
    """Rename ``temporary`` to the first free name; the file system decides who is first."""
    for number in itertools.count(1):
        final = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not os.path.lexists(final):
            dependent = {key: make(final) for key, make in files.items() if not isinstance(make, bytes)}
            _write_all(temporary, dependent)
            _sync_directory(temporary)
            try:
                return temporary.rename(final)
            except OSError:
                if not os.path.lexists(final):
                    raise
                for key in dependent:
                    (temporary / key).unlink()
        if exact:
            raise OutputError(
                Sentence("'{final}' exists already", final=final),
                do=Sentence("Choose another path, or remove it first."),
            )
    raise AssertionError("unreachable")


def check_writable(parent: str | os.PathLike[str]) -> None:
    """Raise OutputError now if files could not be written below ``parent``, which need not exist yet."""
    parent = Path(parent)
    with refusals(parent):
        existing = parent
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        probe = hidden_name(existing)
        try:
            _write_synced(probe, bytes(_PROBE_BYTES), None)
        finally:
            remove(probe)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _write_synced(path: Path, data: bytes, final_mode: int | None) -> None:
    """Create ``path`` privately, write and flush it, then set ``final_mode`` (None: as the umask allows)."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, 0o666 if final_mode is None else 0o600)
    try:
        mode = os.fstat(descriptor).st_mode if final_mode is None else final_mode
        _set_mode(path, 0o600)
        _write_whole(descriptor, data)
        os.fsync(descriptor)
        _set_mode(path, stat.S_IMODE(mode))
    finally:
        os.close(descriptor)


def _set_mode(path: Path, mode: int) -> None:
    """Set the permissions, where the file system has any (a USB stick has none)."""
    with contextlib.suppress(OSError):
        path.chmod(mode)


def _write_whole(descriptor: int, data: bytes) -> None:
    """Write all of ``data``; the system may take less than asked at a time."""
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest)
        if written == 0:
            raise OSError(errno.EIO, "the device takes no more")
        rest = rest[written:]


def _write_through(path: Path, data: bytes) -> None:
    """Write to a device or pipe, which a rename would destroy; a directory refuses."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        _write_whole(descriptor, data)
    finally:
        os.close(descriptor)


def _write_all(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        _write_synced(directory / name, data, None)


def _sync_directory(directory: Path) -> None:
    """Make a rename last. Some systems (Windows, network mounts) cannot; the file is in place anyway."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the system says into one clear sentence about ``path``."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        why = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        do = Sentence("Choose another path.")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            do = Sentence("Free some space, or choose another path.")
        raise OutputError(Sentence("cannot write '{path}'", path=path), why=why, do=do) from error
    except ValueError as error:  # a NUL or an unencodable character in the path
        raise OutputError(
            Sentence("cannot write {str!r}", str=str(path)), why=Sentence("it is no valid path ({error})", error=error)
        ) from error
