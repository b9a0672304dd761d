"""Eager torch: the loop one would write by hand, on one thread or all, or with the optimizer's update in one kernel."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hotloop.bench.contender import Trained, Training
from hotloop.bench.hand_loop import HandLoop
from hotloop.bench.workloads import Workload
from hotloop.engines.threads import torch_threads
from hotloop.program.random import row_order

if TYPE_CHECKING:
    import torch

__all__ = ["Eager", "torch_order"]


@dataclass(frozen=True)
class Eager:
    """The hand-written loop.

    Parameters
    ----------
    name, about : str
    threads : int
        That torch may use.
    fused : bool
        Use the optimizer's fused form.
    """

    name: str
    about: str
    threads: int
    fused: bool = False

    def absent(self, workload: Workload) -> str | None:
        """Return None: torch is always there."""
        return None

    def prepare(self, workload: Workload, epochs: int, seed: int | None) -> Training:
        """Return the training; each has a network and an optimizer of its own, made before the clock starts."""
        import torch

        X, y = map(torch.from_numpy, workload.rows())
        order = torch_order(len(X), seed)

        def train() -> Trained:
            model = workload.network()
            loop = HandLoop(model, workload.criterion(), workload.optimizer_of(model, fused=self.fused))
            with torch_threads(self.threads):
                started_s = time.perf_counter()
                if workload.batch_size is None:
                    losses = loop.full_batch(X, y, epochs)
                else:
                    losses = loop.minibatches(X, y, epochs, workload.batch_size, order)
                duration_s = time.perf_counter() - started_s
            return Trained(duration_s, 0.0, workload.mean_of_epochs(np.array(losses)))

        return train


def torch_order(n_rows: int, seed: int | None) -> Callable[[int], torch.Tensor]:
    """Return the function from an epoch to its order: hotloop's of a seed, or torch's own."""
    import torch

    if seed is None:
        return lambda epoch: torch.randperm(n_rows)
    return lambda epoch: torch.from_numpy(row_order(n_rows, seed, epoch))
