"""``torch.compile``: the same loop, with forward, loss and backward as one compiled function and the update as another.

One network and one optimizer serve all trainings of a workload, since new ones would be compiled anew; before each
training their numbers are set back to the first ones.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.bench.contender import Trained, Training
from hotloop.bench.eager import torch_order
from hotloop.bench.workloads import Workload
from hotloop.engines.threads import torch_threads
from hotloop.language import Sentence

if TYPE_CHECKING:
    import torch

__all__ = ["TorchCompile"]


class TorchCompile:
    """The compiled loop on one thread."""

    name = "torch-compile"
    threads = 1

    def __init__(self) -> None:
        self._compiled: dict[str, _Compiled] = {}

    @property
    def about(self) -> str:
        """What it does."""
        return Sentence("the loop of eager, forward and loss compiled by torch.compile, and the optimizer's step too")

    def absent(self, workload: Workload) -> str | None:
        """Return what is missing: torch writes C++ for the CPU and needs a compiler for it."""
        if cpp_compiler() is None:
            return Sentence("needs a C++ compiler, and none is found")
        return None

    def prepare(self, workload: Workload, epochs: int, seed: int | None) -> Training:
        """Return the training; the first for a workload compiles, by running an epoch's steps of each batch size."""
        import torch

        X, y = map(torch.from_numpy, workload.rows())
        order = torch_order(len(X), seed)
        batch_size = workload.batch_size

        def train() -> Trained:
            with torch_threads(self.threads):
                compiled = self._compiled_for(workload, X, y)
                compiled.reset()
                started_s = time.perf_counter()
                if batch_size is None:
                    losses = [compiled.step(X, y) for _ in range(epochs)]
                else:
                    losses = compiled.minibatches(X, y, epochs, batch_size, order)
                duration_s = time.perf_counter() - started_s
            return Trained(duration_s, compiled.prepare_s, workload.mean_of_epochs(np.array(losses)))

        return train

    def _compiled_for(self, workload: Workload, X: torch.Tensor, y: torch.Tensor) -> _Compiled:
        if workload.name not in self._compiled:
            self._compiled[workload.name] = _Compiled(workload, X, y)
        return self._compiled[workload.name]


class _Compiled:
    """A network, its optimizer and their compiled functions; compiled when made."""

    def __init__(self, workload: Workload, X: torch.Tensor, y: torch.Tensor) -> None:
        import torch

        model, criterion = workload.network(), workload.criterion()
        optimizer = workload.optimizer_of(model)
        self._model, self._optimizer = model, optimizer
        self._first = {name: value.clone() for name, value in model.state_dict().items()}

        def loss_of(X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            loss: torch.Tensor = criterion(model(X), y)
            return loss

        # Sizes are constants: an epoch's last, smaller batch has code of its own, as the others have.
        self._loss_of: Callable[..., Any] = torch.compile(loss_of, dynamic=False)
        self._update: Callable[..., Any] = torch.compile(optimizer.step, dynamic=False)
        started_s = time.perf_counter()
        for size in dict.fromkeys(workload.batch_sizes):
            # Twice: the optimizer's first step makes its state, and is compiled apart from the later ones.
            for _once in range(2):
                self.step(X[:size].clone(), y[:size].clone())
        self.prepare_s = time.perf_counter() - started_s

    def step(self, X: torch.Tensor, y: torch.Tensor) -> float:
        """Update once and return the loss."""
        loss = self._loss_of(X, y)
        self._optimizer.zero_grad()
        loss.backward()
        self._update()
        return float(loss.item())

    def minibatches(
        self, X: torch.Tensor, y: torch.Tensor, epochs: int, batch_size: int, order: Callable[[int], torch.Tensor]
    ) -> list[float]:
        """Train on ``batch_size`` rows at once, those of an epoch in ``order(epoch)``; return the loss of each step."""
        losses = []
        for epoch in range(epochs):
            places = order(epoch)
            for start in range(0, len(X), batch_size):
                at = places[start : start + batch_size]
                losses.append(self.step(X.index_select(0, at), y.index_select(0, at)))
        return losses

    def reset(self) -> None:
        """Give weights and the optimizer's state their first numbers, in place."""
        self._model.load_state_dict(self._first)
        for state in self._optimizer.state.values():
            for value in state.values():
                if hasattr(value, "zero_"):
                    value.zero_()


def cpp_compiler() -> str | None:
    """Return the C++ compiler that torch would find, or None."""
    named = os.environ.get("CXX")
    if named:
        return shutil.which(named)
    usual = ["cl"] if sys.platform == "win32" else ["g++", "clang++", "c++"]
    return next((found for found in map(shutil.which, usual) if found), None)
