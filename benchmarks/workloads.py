"""The networks, rows and settings that benchmarks train on; the numbers W1, W3a, ... are those of the project's list.

::

    NAMES                           the workloads there are
    find_workload("W5").rows()      X and y, always the same
    find_workload("W5").network()   a torch network, always with the same first weights
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

import hotloop

__all__ = ["NAMES", "Workload", "find_workload"]

Rows = tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]


@dataclass(frozen=True)
class Workload:
    """A network, its rows and how it is trained.

    Parameters
    ----------
    name : str
    origin : str
        Where its sizes come from.
    widths : tuple of int
        Features, units of each hidden layer, outputs.
    activation : str or None
        "relu", or None for layers that follow each other directly.
    loss : str
        "ce" or "mse".
    optimizer : str
        "sgd" or "adam".
    lr : float
    batch_size : int or None
        None trains on all rows at once.
    rows : function
        Returns X, float32 (rows, features), and y, int64 (rows,) for "ce" or float32 (rows, outputs) for "mse".
    compared_epochs : int
        Over how many epochs loss curves of contenders are compared: fewer where a ReLU unit that switches one step
        earlier or later soon turns the last digit of float32 into the third of the loss.
    """

    name: str
    origin: str
    widths: tuple[int, ...]
    activation: str | None
    loss: str
    optimizer: str
    lr: float
    batch_size: int | None
    rows: Callable[[], Rows]
    compared_epochs: int

    def network(self) -> torch.nn.Sequential:
        """Return the network with the weights torch gives it after ``torch.manual_seed(0)``."""
        torch.manual_seed(0)
        layers: list[torch.nn.Module] = []
        for n_in, n_out in itertools.pairwise(self.widths):
            if layers and self.activation == "relu":
                layers.append(torch.nn.ReLU())
            layers.append(torch.nn.Linear(n_in, n_out))
        return torch.nn.Sequential(*layers)

    def criterion(self) -> torch.nn.Module:
        """Return the loss as torch has it."""
        return {"ce": torch.nn.CrossEntropyLoss, "mse": torch.nn.MSELoss}[self.loss]()

    def optimizer_of(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """Return the optimizer over the model's parameters."""
        return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.optimizer](model.parameters(), lr=self.lr)

    def batch_sizes(self, n_rows: int) -> list[int]:
        """Return the rows of each step of an epoch; the last may be smaller."""
        whole, rest = divmod(n_rows, self.batch_size or n_rows)
        return [self.batch_size or n_rows] * whole + [rest] * bool(rest)

    def describe(self, n_rows: int) -> str:
        """Return network, rows, optimizer and loss in a line."""
        between = self.activation or "no activation"
        batch = f"/{self.batch_size}" if self.batch_size else " full batch"
        return f"{'-'.join(map(str, self.widths))} {between}, {n_rows}{batch}, {self.optimizer} {self.lr}, {self.loss}"


def _iris() -> Rows:
    """The lesson's 120 training rows, split and scaled as the lesson does."""
    prepared = hotloop.tables.prepare(hotloop.tables.read("iris"), scaling="minmax")
    return prepared.X_train, prepared.y_train


def _digits() -> Rows:
    """scikit-learn's digits in [0, 1], or rows of that shape where it is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return _classes(1797, 64, 10)()
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y.astype(np.int64)


def _classes(n_rows: int, n_features: int, n_classes: int) -> Callable[[], Rows]:
    """Rows around one centre for each class, overlapping so that the loss does not reach 0."""

    def rows() -> Rows:
        generator = np.random.default_rng(0)
        y = generator.integers(0, n_classes, n_rows)
        centres = generator.normal(0, 0.5, (n_classes, n_features))
        return (centres[y] + generator.normal(0, 1, (n_rows, n_features))).astype(np.float32), y

    return rows


def _numbers(n_rows: int, n_features: int, n_outputs: int) -> Callable[[], Rows]:
    """Targets from a bent linear map, with noise so that the loss does not reach 0."""

    def rows() -> Rows:
        generator = np.random.default_rng(0)
        X = generator.normal(0, 1, (n_rows, n_features))
        y = np.tanh(X @ generator.normal(0, n_features**-0.5, (n_features, n_outputs)))
        return X.astype(np.float32), (y + generator.normal(0, 0.1, y.shape)).astype(np.float32)

    return rows


_WORKLOADS = (
    Workload("W1", "the lesson", (4, 10, 3), "relu", "ce", "sgd", 0.01, None, _iris, 5000),
    Workload("W3a", "pytorch#144633", (10, 45, 45, 10), None, "mse", "adam", 1e-3, 128, _numbers(12_800, 10, 10), 20),
    Workload("W5", "scikit-learn's defaults", (64, 100, 10), "relu", "ce", "adam", 1e-3, 200, _digits, 20),
    Workload("W7", "RLtools", (16, 64, 64, 1), "relu", "mse", "adam", 1e-3, 100, _numbers(10_000, 16, 1), 2),
    Workload("W9", "small minibatches", (16, 32, 32, 2), "relu", "ce", "sgd", 0.01, 32, _classes(3200, 16, 2), 20),
)

NAMES = tuple(workload.name for workload in _WORKLOADS)


def find_workload(name: str) -> Workload:
    """Return the workload of that name.

    Raises
    ------
    KeyError
        There is none.
    """
    return {workload.name: workload for workload in _WORKLOADS}[name]
