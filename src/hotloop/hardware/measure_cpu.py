"""Measure a CPU, on one core and on all: arithmetic by a loop of multiply-adds, memory by a large copy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from hotloop.hardware.description import Cpu, Measured
from hotloop.hardware.fma_loop import FmaLoop, compile_fma_loop
from hotloop.sentence import Sentence, clauses

__all__ = ["array_bytes", "duration_together_s", "measure_cpu"]

_MIB = 1 << 20
_REPEATS = 5
_FMA_DURATION_S = 0.05
_SHORT_RUNS = 50


def measure_cpu(
    cpu: Cpu, available_bytes: int | None, *, threads: Collection[int] | None = None
) -> tuple[Measured, ...]:
    """Return the figures of one core and, where there are several, of all usable threads.

    Takes 1 to 3 s and up to 1 GiB of memory. The best of five repeats counts: a peak is what can be reached.

    Parameters
    ----------
    cpu : Cpu
    available_bytes : int, optional
        Of memory.
    threads : collection of int, optional
        Measure these numbers of threads only.
    """
    loop, failure = _compile(cpu)
    size_bytes = array_bytes(cpu, available_bytes)
    copies = _Copies(size_bytes)
    counts = sorted(threads or {1, cpu.usable_threads or 1})
    notes = [failure, _cache_note(cpu, size_bytes)]
    return tuple(
        Measured(
            on=Sentence("1 core") if count == 1 else Sentence("{threads} threads", threads=count),
            gflop_per_s=_gflop_per_s(loop, count) if loop else None,
            bandwidth_gb_per_s=copies.gb_per_s(count),
            note=clauses(*(note for note in notes if note)) if any(notes) else None,
        )
        for count in counts
    )


def array_bytes(cpu: Cpu, available_bytes: int | None) -> int:
    """Return the size of each of the two arrays of the copy.

    Four times the last-level caches so that the copy cannot live in them, at least 128 MiB, but both together
    at most 1 GiB and a quarter of the memory available.
    """
    wanted = max(4 * _cache_bytes(cpu), 128 * _MIB)
    bound = 512 * _MIB if available_bytes is None else min(512 * _MIB, available_bytes // 8)
    return max(_MIB, min(wanted, bound))


def duration_together_s(works: Sequence[Callable[[], object]]) -> float:
    """Run each piece of work on a thread of its own; return the time from the first start to the last end."""
    if len(works) == 1:
        start_s = time.perf_counter()
        works[0]()
        return time.perf_counter() - start_s
    barrier = threading.Barrier(len(works))
    spans_s: list[tuple[float, float]] = []

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        start_s = time.perf_counter()
        work()
        spans_s.append((start_s, time.perf_counter()))

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end_s for _, end_s in spans_s) - min(start_s for start_s, _ in spans_s)


def _compile(cpu: Cpu) -> tuple[FmaLoop | None, str | None]:
    """Return the loop, or why there is none."""
    if cpu.simd_bits is None:
        return None, Sentence("arithmetic not measured: the vector width is unknown")
    try:
        return compile_fma_loop(cpu.simd_bits), None
    except (OSError, RuntimeError) as error:
        return None, Sentence("arithmetic not measured: {reason}", reason=str(error).splitlines()[0])


def _gflop_per_s(loop: FmaLoop, threads: int) -> float:
    def duration_s(iterations: int) -> float:
        return duration_together_s([lambda: loop.run(iterations)] * threads)

    # Threads start some microseconds apart, which a long run makes little of. One alone does better in many short runs:
    # beside other work some of them still have the core for themselves.
    pieces = _SHORT_RUNS if threads == 1 else 1
    run_s, repeats = _FMA_DURATION_S / pieces, _REPEATS * pieces
    iterations = 10_000
    while (once_s := duration_s(iterations)) < run_s / 4:
        iterations *= 4
    iterations = max(1, round(iterations * run_s / once_s))
    best_s = min(duration_s(iterations) for _ in range(repeats))
    return threads * iterations * loop.flop_per_iteration / best_s / 1e9


class _Copies:
    """Two arrays, written once so that every page is there, and copies between them."""

    def __init__(self, size_bytes: int) -> None:
        import numpy as np

        self._copy = np.copyto
        self._source = np.ones(size_bytes // 4, np.float32)
        self._target = np.ones_like(self._source)

    def gb_per_s(self, threads: int) -> float:
        """Bytes read plus bytes written, each thread copying a part of its own."""
        edges = [len(self._source) * k // threads for k in range(threads + 1)]
        parts = [slice(start, stop) for start, stop in pairwise(edges)]
        works = [lambda part=part: self._copy(self._target[part], self._source[part]) for part in parts]
        best_s = min(duration_together_s(works) for _ in range(_REPEATS))
        return 2 * self._source.nbytes / best_s / 1e9


def _cache_bytes(cpu: Cpu) -> int:
    return (cpu.l3_bytes or cpu.l2_bytes or 0) * (cpu.l3_caches or 1)


def _cache_note(cpu: Cpu, size_bytes: int) -> str | None:
    if 4 * _cache_bytes(cpu) <= size_bytes:
        return None
    return Sentence(
        "the copied array of {size} MiB is not four times the last-level cache of {cache} MiB, "
        "which may have helped the copy",
        size=size_bytes // _MIB,
        cache=_cache_bytes(cpu) // _MIB,
    )
