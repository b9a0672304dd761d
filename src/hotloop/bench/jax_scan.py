"""JAX: all steps of a run inside ``jax.lax.scan`` inside ``jax.jit``, so that Python is left once."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hotloop.bench.contender import Trained, Training, version_of
from hotloop.bench.workloads import Workload
from hotloop.language import Sentence
from hotloop.program.random import row_order

__all__ = ["JaxScan"]


@dataclass(frozen=True)
class JaxScan:
    """JAX's program.

    Parameters
    ----------
    name, about : str
    threads : int
        All that the process may use: XLA takes them, and can be told otherwise only as a process starts.
    is_order_given : bool
        All row orders are drawn beforehand and not timed. Drawing one inside sorts random numbers, which XLA does
        slowly; this is the time of JAX's training alone.
    """

    name: str
    about: str
    threads: int
    is_order_given: bool = False

    def absent(self, workload: Workload) -> str | None:
        """Return what is missing."""
        if version_of("jax") is None:
            return Sentence("JAX is not installed: pip install 'hotloop[bench]'")
        if self.is_order_given and workload.batch_size is None:
            return Sentence("the same as jax in full batch, where rows have no order")
        return None

    def prepare(self, workload: Workload, epochs: int, seed: int | None) -> Training:
        """Compile the training of so many epochs: a program has their number in it."""
        from hotloop.bench.jax_program import compile_training

        orders = None
        if workload.batch_size is not None and (self.is_order_given or seed is not None):
            orders = np.stack([row_order(workload.n_rows, seed or 0, epoch) for epoch in range(epochs)])
        started_s = time.perf_counter()
        train_once = compile_training(workload, epochs, orders)
        prepare_s = time.perf_counter() - started_s

        def train() -> Trained:
            started_s = time.perf_counter()
            losses = train_once()
            return Trained(time.perf_counter() - started_s, prepare_s, workload.mean_of_epochs(losses))

        return train
