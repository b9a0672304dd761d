"""Many fits of the lesson's network from Python threads: what a fit costs beyond its steps.

    python benchmarks/many_fits.py [--fits 1000] [--epochs 2000] [--threads 1 2] [--rounds 7]

Threads take networks from one list, built beforehand, and fit them. The steps' own time is the slope, in processor
time, between fits of so many epochs and fits of ten times as many. What is left of ``threads * wall / fits`` is what
``fit`` costs, with its waits for the GIL; the same of processor time is without them.
Rounds are interleaved; medians and quartiles over the rounds are printed.
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time
from dataclasses import dataclass

import numpy as np
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
    parser.add_argument("--rounds", type=int, default=7)
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
    """Print the medians over the rounds, for one number of threads; of what is beyond the steps the quartiles, too.

    What belongs together was measured in one round: how fast the machine is changes from one to the next.
    """
    pairs = list(zip(short, long, strict=True))
    steps_ms = [(of_ten.cpu_ms - of_one.cpu_ms) / (_LONGER - 1) for of_one, of_ten in pairs]
    busy_ms, cpu_ms = [one.busy_ms for one in short], [one.cpu_ms for one in short]
    print(
        f"{threads} threads  wall {statistics.median(busy_ms) / threads:.3f}  CPU {statistics.median(cpu_ms):.3f}  "
        f"steps {statistics.median(steps_ms):.3f}  beyond the steps {_spread(busy_ms, steps_ms)}, "
        f"CPU {_spread(cpu_ms, steps_ms)}  cores busy {100 * sum(cpu_ms) / sum(busy_ms):.0f} %"
    )


def _spread(fits_ms: list[float], steps_ms: list[float]) -> str:
    """Return the median and the quartiles of what fits took beyond their steps."""
    beyond_ms = [fit_ms - own_ms for fit_ms, own_ms in zip(fits_ms, steps_ms, strict=True)]
    first, median, third = np.quantile(beyond_ms, [0.25, 0.5, 0.75])
    return f"{median:.3f} ({first:.3f}-{third:.3f})"


if __name__ == "__main__":
    main()
