"""How long a small piece of work takes: the least of several times, on a CPU or on a GPU.

The least counts, since what other processes add is never negative. On one thread of a CPU the thread's own time is
taken where the system counts it finely enough: a process that waits for its turn then waits outside the figure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["CudaStopwatch", "Stopwatch", "cpu_clock"]

Clock = Callable[[], float]

_FINE_ENOUGH_S = 1e-6
# Long enough to be told from the clock's own cost, short enough to end before the next process has its turn.
_LEAST_S = 3e-4
_MOST_CALLS = 1 << 14
# Calls between two events, of work that does not take long anyway; cycles of the kernel behind which they queue up.
_MOST_KERNELS = 20
_LONG_US = 1000.0
_SLEEP_CYCLES = 4_000_000
_MOST_SLEEP_CYCLES = 2_000_000_000


def cpu_clock(threads: int | None) -> Clock:
    """Return the clock for work on so many threads."""
    fine = time.get_clock_info("thread_time").resolution <= _FINE_ENOUGH_S
    return time.thread_time if threads == 1 and fine else time.perf_counter


class Stopwatch:
    """Times work that is over when it returns.

    Parameters
    ----------
    clock : callable
        Seconds; see :func:`cpu_clock`.
    repeats : int
        How many times are taken, the least of which counts.
    most_s : float
        A piece of work is not repeated beyond this, but for once.
    """

    def __init__(self, clock: Clock, repeats: int = 3, most_s: float = 0.02):
        self._clock, self._repeats, self._most_s = clock, repeats, most_s

    def us(self, work: Callable[[], object]) -> float:
        """Return the microseconds of one call, after one that does not count."""
        begin_s = time.perf_counter()
        work()
        n_calls, duration_s = 1, self._duration_s(work, 1)
        while duration_s < _LEAST_S and n_calls < _MOST_CALLS:
            n_calls = min(max(2 * n_calls, int(1.2 * n_calls * _LEAST_S / max(duration_s, 1e-9))), _MOST_CALLS)
            duration_s = self._duration_s(work, n_calls)
        least_s = duration_s
        for number in range(self._repeats - 1):
            if number and time.perf_counter() - begin_s > self._most_s:
                break
            least_s = min(least_s, self._duration_s(work, n_calls))
        return least_s / n_calls * 1e6

    def _duration_s(self, work: Callable[[], object], n_calls: int) -> float:
        started_s = self._clock()
        for _ in range(n_calls):
            work()
        return self._clock() - started_s


class CudaStopwatch:
    """Times what work takes on a GPU, apart from what it takes to be issued.

    A kernel that only waits is enqueued first; while it does, the host issues the work many times over, between two
    events. What passes between the events is the device's time alone.

    Parameters
    ----------
    torch : module
    repeats : int
    """

    def __init__(self, torch: Any, repeats: int = 5):
        self._torch, self._repeats = torch, repeats
        self._cycles = _SLEEP_CYCLES

    def us(self, work: Callable[[], object]) -> float:
        """Return the microseconds of one call on the device, after one that does not count."""
        work()
        self._torch.cuda.synchronize()
        single_us = self._once_us(work, 1)
        n_calls = _MOST_KERNELS if single_us < _LONG_US else 2
        return min(self._once_us(work, n_calls) for _ in range(self._repeats if single_us < _LONG_US else 2))

    def _once_us(self, work: Callable[[], object], n_calls: int) -> float:
        while True:
            first, last = (self._torch.cuda.Event(enable_timing=True) for _ in range(2))
            self._torch.cuda._sleep(self._cycles)
            first.record()
            for _ in range(n_calls):
                work()
            last.record()
            # Once the waiting is over before all is issued, the host's pace would be in the figure.
            got_ahead = not first.query()
            self._torch.cuda.synchronize()
            if got_ahead or self._cycles >= _MOST_SLEEP_CYCLES:
                return float(first.elapsed_time(last)) * 1e3 / n_calls
            self._cycles *= 2
