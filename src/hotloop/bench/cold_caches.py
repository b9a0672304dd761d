"""Empty caches of compiled code, so that what is told of preparing holds for a first time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["cold_caches"]

_VARIABLES = ("HOTLOOP_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")


@contextmanager
def cold_caches() -> Iterator[None]:
    """Let hotloop and torch.compile keep their code in a folder that is empty now, and gone afterwards."""
    former = {name: os.environ.get(name) for name in _VARIABLES}
    with tempfile.TemporaryDirectory(prefix="hotloop-bench-", ignore_cleanup_errors=True) as folder:
        for name in _VARIABLES:
            os.environ[name] = os.path.join(folder, name.lower())  # noqa: PTH118, a variable holds text
        try:
            yield
        finally:
            for name, value in former.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
