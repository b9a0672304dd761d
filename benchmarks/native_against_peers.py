"""A hotloop engine against the torch loop one would write by hand and against JAX, interleaved in one process.

    python benchmarks/native_against_peers.py [W1 W5 ...] [--engine native] [--rounds 7] [--seconds 0.5] [--json FILE]

All train the same network on the same rows from the same first weights:

* ``eager``: a torch loop, one thread, rows gathered in the order of ``torch.randperm``, ``loss.item()`` each step;
* ``jax``: ``lax.scan`` inside ``jit``, rows gathered in an order drawn inside, the loss of each step returned;
* ``jax-given``: the same with all orders drawn beforehand and not timed, because drawing one sorts random numbers,
  which XLA does slowly; the time of JAX's training alone, for minibatches only;
* ``hotloop``: ``hotloop.fit``, the loss of each epoch recorded.

Timed is the loop alone; what comes before it (capture, compilation) is printed beside it, the first time in the process
and the last. Loss curves are compared in separate runs, in which all take the row orders of hotloop's seed 0. Needs
torch, NumPy and hotloop; JAX and scikit-learn are used where they are installed (``pip install -e '.[bench,test]'``).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import hotloop
from hand_loop import HandLoop
from hotloop.engines.threads import torch_threads
from hotloop.program.random import row_order
from workloads import NAMES, Workload, find_workload

# Long enough to tell a step's time to a few percent, short enough for the slowest loop.
_CALIBRATION_STEPS = 1000


@dataclass(frozen=True)
class Result:
    """One run of a contender.

    Parameters
    ----------
    duration_s, prepare_s : float
        The loop; what comes before it.
    losses : array of shape (epochs,)
        Mean over the epoch's rows, each before its batch's update.
    """

    duration_s: float
    prepare_s: float
    losses: NDArray[np.float64]


# (workload, epochs, seed of row orders or None for the contender's own) -> run
Contender = Callable[[Workload, int, int | None], Callable[[], Result]]


@dataclass(frozen=True)
class Measured:
    """What was seen of one contender on one workload.

    Parameters
    ----------
    steps : int
        Of each run.
    us_per_step : list of float
        A number for each round.
    first_prepare_s, prepare_s : float
        Before the first run in this process, and before the last.
    deviation : float
        Largest relative deviation of the loss curve from eager's.
    """

    steps: int
    us_per_step: list[float]
    first_prepare_s: float
    prepare_s: float
    deviation: float


def eager(workload: Workload, epochs: int, seed: int | None) -> Callable[[], Result]:
    """Train with a loop as one writes it by hand."""
    X, y = map(torch.from_numpy, workload.rows())

    def order(epoch: int) -> torch.Tensor:
        return torch.randperm(len(X)) if seed is None else torch.from_numpy(row_order(len(X), seed, epoch))

    def run() -> Result:
        model = workload.network()
        with torch_threads(1):
            loop = HandLoop(model, workload.criterion(), workload.optimizer_of(model))
            started_s = time.perf_counter()
            if workload.batch_size is None:
                losses = loop.full_batch(X, y, epochs)
            else:
                losses = loop.minibatches(X, y, epochs, workload.batch_size, order)
            duration_s = time.perf_counter() - started_s
        return Result(duration_s, 0.0, epoch_losses(workload, np.array(losses), len(X)))

    return run


def jax_scan(
    workload: Workload, epochs: int, seed: int | None, *, is_order_given: bool = False
) -> Callable[[], Result]:
    """Train with JAX; orders are drawn inside the program unless a seed or ``is_order_given`` says otherwise."""
    from jax_scan import compile_training

    n_rows, orders = len(workload.rows()[0]), None
    if workload.batch_size is not None and (is_order_given or seed is not None):
        orders = np.stack([row_order(n_rows, seed or 0, epoch) for epoch in range(epochs)])
    started_s = time.perf_counter()
    train = compile_training(workload, epochs, orders)
    prepare_s = time.perf_counter() - started_s

    def run() -> Result:
        started_s = time.perf_counter()
        losses = train()
        return Result(time.perf_counter() - started_s, prepare_s, epoch_losses(workload, losses, n_rows))

    return run


def hotloop_fit(
    engine: str, threads: int | None, workload: Workload, epochs: int, seed: int | None
) -> Callable[[], Result]:
    """Train with ``hotloop.fit``; its row orders always come from a seed."""
    X, y = workload.rows()

    def run() -> Result:
        model = workload.network()
        run = hotloop.fit(
            model,
            X,
            y,
            loss=workload.criterion(),
            optimizer=workload.optimizer_of(model),
            epochs=epochs,
            batch_size=workload.batch_size,
            device="cpu",
            engine=engine,
            threads=threads,
            seed=seed or 0,
            progress=False,
        )
        return Result(run.duration_s, run.prepare_s, run.losses)

    return run


def epoch_losses(workload: Workload, losses: NDArray[Any], n_rows: int) -> NDArray[np.float64]:
    """Return the mean over each epoch's rows of the losses of its steps."""
    sizes = workload.batch_sizes(n_rows)
    return np.average(losses.reshape(-1, len(sizes)).astype(np.float64), axis=1, weights=sizes)


def contenders_for(workload: Workload, engine: str, threads: int | None) -> dict[str, Contender]:
    """Return who takes part."""
    contenders: dict[str, Contender] = {"eager": eager}
    if version_of("jax"):
        contenders["jax"] = jax_scan
        if workload.batch_size is not None:
            contenders["jax-given"] = partial(jax_scan, is_order_given=True)
    return {**contenders, "hotloop": partial(hotloop_fit, engine, threads)}


def first_runs(workload: Workload, contenders: dict[str, Contender]) -> dict[str, Result]:
    """Train once with each contender, all in the same row orders: what curves are compared on."""
    return {name: prepare(workload, workload.compared_epochs, 0)() for name, prepare in contenders.items()}


def epochs_for(workload: Workload, prepare: Contender, seconds: float) -> int:
    """Return how many epochs take about so many seconds."""
    epochs = -(-_CALIBRATION_STEPS // steps_per_epoch(workload))
    run = prepare(workload, epochs, None)
    run()
    return max(1, round(epochs * seconds / run().duration_s))


def steps_per_epoch(workload: Workload) -> int:
    """Return the updates of an epoch."""
    return len(workload.batch_sizes(len(workload.rows()[0])))


def interleaved(runs: dict[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """Run all contenders in each round, in a new order each time."""
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name in random.sample(list(runs), len(runs)):
            result = runs[name]()
            # The first round warms up caches, allocators and clocks.
            if number:
                results[name].append(result)
    return results


def measure(workload: Workload, contenders: dict[str, Contender], rounds: int, seconds: float) -> dict[str, Measured]:
    """Compare the contenders' curves, then their times."""
    first = first_runs(workload, contenders)
    epochs = {name: epochs_for(workload, prepare, seconds) for name, prepare in contenders.items()}
    runs = {name: prepare(workload, epochs[name], None) for name, prepare in contenders.items()}
    steps = {name: number * steps_per_epoch(workload) for name, number in epochs.items()}
    return {
        name: Measured(
            steps=steps[name],
            us_per_step=[1e6 * result.duration_s / steps[name] for result in results],
            first_prepare_s=first[name].prepare_s,
            prepare_s=results[-1].prepare_s,
            deviation=float(np.max(np.abs(first[name].losses / first["eager"].losses - 1))),
        )
        for name, results in interleaved(runs, rounds).items()
    }


def speedup(theirs: Measured, ours: Measured) -> float:
    """Return how many times as fast ours is: the median of the rounds' ratios."""
    return statistics.median(t / o for t, o in zip(theirs.us_per_step, ours.us_per_step, strict=True))


def show(measured: dict[str, Measured]) -> None:
    """Print a line for each contender."""
    print("              us a step        times as fast as      steps   prepare, s      largest deviation")
    print("             least   median     eager      jax       a run   first    last   of losses from eager's")
    for name, seen in measured.items():
        ratios = "".join(
            f"{speedup(measured[other], seen):9.2f}" if other in measured else "        -" for other in ("eager", "jax")
        )
        print(
            f"  {name:<9}{min(seen.us_per_step):8.2f} {statistics.median(seen.us_per_step):8.2f} {ratios}  "
            f"{seen.steps:9d} {seen.first_prepare_s:7.2f} {seen.prepare_s:7.2f}   {seen.deviation:.1e}"
        )


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = hotloop.hardware.describe().cpu
    versions = {name: version_of(name) for name in ("torch", "jax", "scikit-learn")}
    return {"cpu": cpu.name, "microarchitecture": cpu.microarchitecture, "cores": cpu.usable_threads, **versions}


def version_of(package: str) -> str | None:
    """Return the version installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def to_json(seen: Measured, measured: dict[str, Measured]) -> dict[str, Any]:
    """Return what was seen of a contender, with its ratios to the others."""
    return {**vars(seen), "times_as_fast_as": {name: speedup(other, seen) for name, other in measured.items()}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"among {', '.join(NAMES)}; default all")
    parser.add_argument("--engine", default="native", help="hotloop's engine")
    parser.add_argument("--threads", type=int, help="hotloop's threads; default its own choice")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each contender in each round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    given = parser.parse_args()
    if unknown := set(given.workloads) - set(NAMES):
        parser.error(f"no workload {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}")
    about = {**describe_machine(), "engine": given.engine, "rounds": given.rounds, "seconds": given.seconds}
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    if about["jax"] is None:
        print("JAX is not installed and does not take part")
    if about["scikit-learn"] is None:
        print("scikit-learn is not installed: W5 takes rows of the digits' shape")
    figures = {}
    for workload in map(find_workload, given.workloads or NAMES):
        print(f"\n{workload.name} ({workload.origin}): {workload.describe(len(workload.rows()[0]))}")
        try:
            contenders = contenders_for(workload, given.engine, given.threads)
            measured = measure(workload, contenders, given.rounds, given.seconds)
        except hotloop.HotloopError as error:
            raise SystemExit(str(error)) from error
        show(measured)
        figures[workload.name] = {name: to_json(seen, measured) for name, seen in measured.items()}
    if given.json:
        given.json.write_text(json.dumps({"about": about, "workloads": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
