"""The name of compiled code: everything that decides what the code is."""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

from hotloop import __version__
from hotloop.compiler.lock import LLVM_LOCK

__all__ = ["cache_key"]

_PACKAGE = Path(__file__).parents[1]
_WRITERS = ("compiler", "program")  # the folders whose sources decide what code a program becomes


def cache_key(*parts: str) -> str:
    """Return the key for ``parts``, such as a program's text and ``repr(target)``, with all versions in it."""
    # As a list in JSON no two lists of parts look alike.
    return hashlib.sha256(json.dumps([*parts, *_versions()]).encode()).hexdigest()


@functools.cache
def _versions() -> tuple[str, ...]:
    """Return what stands for the compiler itself; the sources, because a checkout changes between versions."""
    with LLVM_LOCK:
        import llvmlite
        import llvmlite.binding as llvm

    return (__version__, _digest_of_sources(), llvmlite.__version__, str(llvm.llvm_version_info))


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(path for folder in _WRITERS for path in (_PACKAGE / folder).rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
