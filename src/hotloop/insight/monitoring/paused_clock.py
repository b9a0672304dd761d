"""A clock that stands still while something that is not to be timed is done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

__all__ = ["PausedClock"]


class PausedClock:
    """Seconds, without the pauses.

    Parameters
    ----------
    clock : callable, optional
        Seconds, with them.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self._clock, self._stood_still_s = clock, 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self._clock() - self._stood_still_s

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Stand still until the block is left."""
        began_s = self._clock()
        try:
            yield
        finally:
            self._stood_still_s += self._clock() - began_s
