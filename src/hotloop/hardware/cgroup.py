"""A container's limits: the Linux control groups of this process, versions 1 and 2.

A group is a directory; its limits hold together with those of every directory above it. Source: the kernel's
``cgroup-v1`` and ``cgroup-v2`` documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["cpu_quota", "group_directories", "memory_left_bytes", "memory_limit_bytes"]

# Version 1 writes "no limit" as the largest page-aligned 64-bit number.
_NO_LIMIT_BYTES = 1 << 60


def group_directories(process: Path = Path("/proc/self")) -> tuple[Path, ...]:
    """Return the directories whose limits bind this process; empty where there are no control groups."""
    try:
        membership = (process / "cgroup").read_text().splitlines()
        mounts = [_Mount.parse(line) for line in (process / "mountinfo").read_text().splitlines()]
    except OSError:
        return ()
    found: dict[Path, None] = {}
    for line in membership:
        _, controllers, group = line.split(":", 2)
        for mount in mounts:
            if mount.holds(controllers):
                found.update(dict.fromkeys(mount.directories(group)))
    return tuple(found)


@dataclass(frozen=True)
class _Mount:
    """One line of ``mountinfo``: what part of which file system is seen where."""

    root: str
    point: Path
    kind: str
    options: frozenset[str]

    @classmethod
    def parse(cls, line: str) -> _Mount:
        r"""Read the fields as the manual page proc(5) orders them; a blank in a path is written ``\040``."""
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split()
        options = frozenset(rest[-1].split(",")) if rest else frozenset()
        return cls(fields[3], Path(fields[4].replace("\\040", " ")), kind, options)

    def holds(self, controllers: str) -> bool:
        """Whether this is the tree of a membership line; version 2 names no controllers there."""
        if not controllers:
            return self.kind == "cgroup2"
        wanted = {"cpu", "memory"} & set(controllers.split(","))
        return self.kind == "cgroup" and bool(wanted & self.options)

    def directories(self, group: str) -> list[Path]:
        """Return the group's directory and those above it that are seen here."""
        path = PurePosixPath(group)
        parts: tuple[str, ...] = ()
        # Of a group outside the mounted part or this namespace (".."), only the mount itself is seen.
        if path.is_relative_to(self.root) and ".." not in path.parts:
            parts = path.relative_to(self.root).parts
        return [self.point.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def cpu_quota(directories: tuple[Path, ...]) -> float | None:
    """Return how many CPUs' time the process may use, or None without a limit."""
    quotas = [quota for directory in directories if (quota := _quota(directory)) is not None]
    return min(quotas, default=None)


def _quota(directory: Path) -> float | None:
    words = _read(directory / "cpu.max").split()
    if len(words) != 2:
        words = [_read(directory / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    quota, period = (int(word) if word.isdecimal() else 0 for word in words)
    return quota / period if quota and period else None


def memory_limit_bytes(directories: tuple[Path, ...]) -> int | None:
    """Return the memory the process's groups may hold at most, or None without a limit."""
    return min((limit for directory in directories if (limit := _limit(directory)) is not None), default=None)


def memory_left_bytes(directories: tuple[Path, ...]) -> int | None:
    """Return what is left below the nearest limit, or None without one.

    File pages that were not used lately count as free: the kernel drops them before it refuses memory.
    """
    left = []
    for directory in directories:
        limit = _limit(directory)
        if limit is not None:
            left.append(max(0, limit - _used(directory)))
    return min(left, default=None)


def _limit(directory: Path) -> int | None:
    word = (_read(directory / "memory.max") or _read(directory / "memory.limit_in_bytes")).strip()
    return int(word) if word.isdecimal() and int(word) < _NO_LIMIT_BYTES else None


def _used(directory: Path) -> int:
    word = (_read(directory / "memory.current") or _read(directory / "memory.usage_in_bytes")).strip()
    pairs = (line.split() for line in _read(directory / "memory.stat").splitlines())
    statistics = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
    idle_files = statistics.get("total_inactive_file", statistics.get("inactive_file", 0))
    return max(0, int(word) - idle_files) if word.isdecimal() else 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
