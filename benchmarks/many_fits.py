"""Many fits of the lesson's network from Python threads: what a fit costs beyond its steps.

    python benchmarks/many_fits.py [--fits 1000] [--epochs 2000] [--threads 1 2] [--rounds 5]

Threads take networks from one list, built beforehand, and fit them. The steps' own time is the slope, in processor
time, between fits of so many epochs and fits of ten times as many. What is left of ``threads * wall / fits`` is what
``fit`` costs, with its waits for the GIL; the same of processor time is without them, and holds on a busy machine too.
Rounds are interleaved; their medians and the least are printed.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from dataclasses import dataclass

import torch

import hotloop
from hotloop.bench.workloads import find_workload

_LONGER = 10


@dataclass(frozen=True)
class Measured:
    """Times of one fit on average: of the clock, times threads; and of the processor, all threads together."""

    busy_ms: float
    cpu_ms: float


def measure(threads: int, fits: int, epochs: int) -> Measured:
    """Fit so many networks from so many threads."""
    workload = find_workload("W1")
    X, y = workload.rows()
    loss = torch.nn.CrossEntropyLoss()
    models = [workload.network() for _ in range(fits)]
    waiting = [(model, workload.optimizer_of(model)) for model in models]
    start = threading.Barrier(threads + 1)

    def work() -> None:
        start.wait()
        while waiting:
            try:
                model, optimizer = waiting.pop()
            except IndexError:  # another thread was faster
                return
            hotloop.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=epochs)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.join()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Measured(1e3 * wall_s * threads / fits, 1e3 * cpu_s / fits)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    measure(1, 20, given.epochs)
    short: dict[int, list[Measured]] = {threads: [] for threads in given.threads}
    long: dict[int, list[Measured]] = {threads: [] for threads in given.threads}
    for _ in range(given.rounds):
        for threads in given.threads:
            short[threads].append(measure(threads, given.fits, given.epochs))
            long[threads].append(measure(threads, max(threads, given.fits // _LONGER), _LONGER * given.epochs))
    print(f"torch {torch.__version__}, {given.rounds} rounds of {given.fits} fits of {given.epochs} epochs; ms a fit")
    for threads in given.threads:
        report(threads, short[threads], long[threads])


def report(threads: int, short: list[Measured], long: list[Measured]) -> None:
    """Print a line of medians and a line of the least, for one number of threads."""
    for name, of in (("median", statistics.median), ("least", min)):
        busy_ms, cpu_ms = of([one.busy_ms for one in short]), of([one.cpu_ms for one in short])
        steps_ms = (of([one.cpu_ms for one in long]) - cpu_ms) / (_LONGER - 1)
        print(
            f"{threads} threads, {name:<6}  wall {busy_ms / threads:6.3f}  CPU {cpu_ms:6.3f}  steps {steps_ms:6.3f}  "
            f"beyond the steps {busy_ms - steps_ms:6.3f} (CPU {cpu_ms - steps_ms:6.3f})  "
            f"cores busy {100 * cpu_ms / busy_ms:3.0f} %"
        )


if __name__ == "__main__":
    main()
