"""The eager engine against the loop one would write by hand, on the lesson's network, interleaved in one process.

    python benchmarks/eager_against_loop.py [--device cuda] [--rounds 15] [--epochs 2000]

Prints the median time of a step of each, and the median of the rounds' ratios. Needs torch, NumPy and hotloop only.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time

import numpy as np
import torch

import hotloop
from hotloop.bench.hand_loop import HandLoop
from hotloop.bench.workloads import find_workload


def network(device: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Return the lesson's network and optimizer, always with the same first weights."""
    model = find_workload("W1").network().to(device)
    return model, find_workload("W1").optimizer_of(model)


def by_hand(X: torch.Tensor, y: torch.Tensor, device: str, epochs: int) -> tuple[float, list[float]]:
    """Train with the lesson's loop, ``loss.item()`` each epoch; return seconds and losses."""
    model, optimizer = network(device)
    loop = HandLoop(model, torch.nn.CrossEntropyLoss(), optimizer)
    X, y = X.to(device), y.to(device)
    started_s = time.perf_counter()
    losses = loop.full_batch(X, y, epochs)
    return time.perf_counter() - started_s, losses


def by_fit(X: torch.Tensor, y: torch.Tensor, device: str, epochs: int) -> tuple[float, list[float]]:
    """Train with ``hotloop.fit``, each epoch recorded; return seconds and losses."""
    model, optimizer = network(device)
    loss = torch.nn.CrossEntropyLoss()
    run = hotloop.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=epochs, device=device, engine="eager")
    return run.duration_s, run.losses.tolist()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=2000)
    given = parser.parse_args()
    X, y = map(torch.from_numpy, find_workload("W1").rows())
    contenders = {"by hand": by_hand, "hotloop.fit": by_fit}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    curves: dict[str, list[float]] = {}
    for number in range(given.rounds + 1):
        for name in random.sample(list(contenders), len(contenders)):
            taken_s, curves[name] = contenders[name](X, y, given.device, given.epochs)
            # The first round warms up caches, allocators and clocks.
            if number:
                seconds[name].append(taken_s)
    worst = float(np.max(np.abs(np.array(curves["hotloop.fit"]) / np.array(curves["by hand"]) - 1)))
    where = torch.cuda.get_device_name(given.device) if given.device.startswith("cuda") else given.device
    print(f"{where}, torch {torch.__version__}, {torch.get_num_threads()} threads, {given.rounds} rounds")
    for name, values in seconds.items():
        median_us, least_us = (1e6 * value / given.epochs for value in (statistics.median(values), min(values)))
        print(f"{name:<12} median {median_us:7.1f} us a step, least {least_us:7.1f}")
    ratios = sorted(ours / theirs for ours, theirs in zip(seconds["hotloop.fit"], seconds["by hand"], strict=True))
    print(f"ratio        median {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    print(f"largest relative deviation of the losses: {worst:.1e}")


if __name__ == "__main__":
    main()
