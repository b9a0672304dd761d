"""The networks, rows and settings that the benchmark trains on; W1, W3a, ... are the names of the project's list.

::

    NAMES                           the workloads there are
    find_workload("W5").rows()      X and y, always the same
    find_workload("W5").network()   a torch network, always with the same first weights

W8 of the list, many models at once, is missing: no engine trains them together yet.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import ArgumentError, nearest
from hotloop.language import Sentence

if TYPE_CHECKING:
    import torch

__all__ = ["NAMES", "Rows", "Workload", "find_workload"]

Rows = tuple[NDArray[np.float32], NDArray[Any]]


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
        "relu", "tanh", or None for layers that follow each other directly.
    loss : str
        "ce" or "mse".
    optimizer : str
        "sgd" or "adam", with torch's defaults but for the rate.
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
        import torch

        activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
        layers: list[torch.nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for n_in, n_out in itertools.pairwise(self.widths):
                if layers and self.activation:
                    layers.append(activations[self.activation]())
                layers.append(torch.nn.Linear(n_in, n_out))
        return torch.nn.Sequential(*layers)

    def first_weights(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return weight, (n_in, n_out), and bias of each layer: copies of the network's."""
        values = [value.numpy().copy() for value in self.network().state_dict().values()]
        return [(np.ascontiguousarray(w.T), b) for w, b in zip(values[::2], values[1::2], strict=True)]

    def criterion(self) -> torch.nn.Module:
        """Return the loss as torch has it."""
        import torch

        return torch.nn.CrossEntropyLoss() if self.loss == "ce" else torch.nn.MSELoss()

    def optimizer_of(self, model: torch.nn.Module, *, fused: bool = False) -> torch.optim.Optimizer:
        """Return the optimizer over the model's parameters."""
        import torch

        kinds: dict[str, Any] = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
        optimizer: torch.optim.Optimizer = kinds[self.optimizer](
            model.parameters(), lr=self.lr, **({"fused": True} if fused else {})
        )
        return optimizer

    @property
    def n_rows(self) -> int:
        """Rows of an epoch."""
        return len(self.rows()[0])

    @property
    def batch_sizes(self) -> list[int]:
        """The rows of each step of an epoch; the last may be smaller."""
        size = self.batch_size or self.n_rows
        whole, rest = divmod(self.n_rows, size)
        return [size] * whole + [rest] * bool(rest)

    @property
    def flop_per_step(self) -> float:
        """Multiplications and additions of matrix products in a step, the mean over an epoch's steps.

        For each weight and row: forward, gradient of the weight, and gradient of the layer's input, which the first
        layer needs not; a multiplication and an addition each.
        """
        sizes = [n_in * n_out for n_in, n_out in itertools.pairwise(self.widths)]
        return self.n_rows * (6.0 * sum(sizes) - 2.0 * sizes[0]) / len(self.batch_sizes)

    def mean_of_epochs(self, losses: NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean over each epoch's rows of the losses of its steps, of which there are whole epochs."""
        sizes = self.batch_sizes
        return np.average(losses.reshape(-1, len(sizes)).astype(np.float64), axis=1, weights=sizes)

    def describe(self) -> Sentence:
        """Return network, rows, optimizer and loss in a line."""
        widths, activation = (
            "-".join(map(str, self.widths)),
            {"relu": "ReLU", "tanh": "tanh", None: None}[self.activation],
        )
        return Sentence(
            "{network}, {rows}, {optimizer} {lr}, {loss}",
            network=f"{widths} {activation}" if activation else Sentence("{widths} no activation", widths=widths),
            rows=Sentence("{n:,} rows, full batch", n=self.n_rows)
            if self.batch_size is None
            else Sentence("{batch} of {n:,} rows", batch=self.batch_size, n=self.n_rows),
            optimizer={"sgd": "SGD", "adam": "Adam"}[self.optimizer],
            lr=f"{self.lr:g}",
            loss=Sentence("cross entropy") if self.loss == "ce" else Sentence("mean squared error"),
        )


@cache
def _iris() -> Rows:
    """The lesson's 120 training rows, split and scaled as the lesson does."""
    from hotloop import tables

    prepared = tables.prepare(tables.read("iris"), scaling="minmax")
    return prepared.X_train, prepared.y_train


@cache
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

    @cache
    def rows() -> Rows:
        generator = np.random.default_rng(0)
        y = generator.integers(0, n_classes, n_rows)
        centres = generator.normal(0, 0.5, (n_classes, n_features))
        return (centres[y] + generator.normal(0, 1, (n_rows, n_features))).astype(np.float32), y

    return rows


def _numbers(n_rows: int, n_features: int, n_outputs: int) -> Callable[[], Rows]:
    """Targets from a bent linear map, with noise so that the loss does not reach 0."""

    @cache
    def rows() -> Rows:
        generator = np.random.default_rng(0)
        X = generator.normal(0, 1, (n_rows, n_features))
        y = np.tanh(X @ generator.normal(0, n_features**-0.5, (n_features, n_outputs)))
        return X.astype(np.float32), (y + generator.normal(0, 0.1, y.shape)).astype(np.float32)

    return rows


def _known() -> Iterator[Workload]:
    lesson, made = Sentence("the lesson"), Sentence("small minibatches")
    numbers10, classes2 = _numbers(12_800, 10, 10), _classes(3200, 16, 2)
    chains, issue, wide = "SimpleChains.jl", "pytorch#144633", (28, 256, 256, 256, 2)
    mnist, digits = Sentence("MNIST-shaped"), Sentence("scikit-learn's defaults")
    real, robot = Sentence("RealMLP-shaped"), Sentence("RLtools-shaped")
    yield Workload("W1", lesson, (4, 10, 3), "relu", "ce", "sgd", 0.01, None, _iris, 5000)
    yield Workload("W2", chains, (4, 32, 16, 4), "tanh", "mse", "adam", 1e-3, None, _numbers(10_000, 4, 4), 100)
    yield Workload("W3a", issue, (10, 45, 45, 10), None, "mse", "adam", 1e-3, 128, numbers10, 20)
    yield Workload("W3b", issue, (10, 256, 256, 10), None, "mse", "adam", 1e-3, 128, numbers10, 4)
    yield Workload("W4", mnist, (784, 128, 10), "relu", "ce", "adam", 1e-3, 128, _classes(12_800, 784, 10), 3)
    yield Workload("W5", digits, (64, 100, 10), "relu", "ce", "adam", 1e-3, 200, _digits, 20)
    yield Workload("W6", real, wide, "relu", "ce", "adam", 1e-3, 256, _classes(12_800, 28, 2), 2)
    yield Workload("W7", robot, (16, 64, 64, 1), "relu", "mse", "adam", 1e-3, 100, _numbers(10_000, 16, 1), 2)
    yield Workload("W9", made, (16, 32, 32, 2), "relu", "ce", "sgd", 0.01, 32, classes2, 20)


_WORKLOADS = {workload.name: workload for workload in _known()}

NAMES = tuple(_WORKLOADS)


def find_workload(name: str) -> Workload:
    """Return the workload of that name, in capitals or not.

    Raises
    ------
    ArgumentError
        There is none.
    """
    found = {known.lower(): workload for known, workload in _WORKLOADS.items()}.get(name.lower())
    if found is not None:
        return found
    if name.lower() == "w8":
        raise ArgumentError(
            Sentence("there is no workload W8 yet"),
            why=Sentence("it trains many models at once, which no engine does so far"),
            do=Sentence("use one of {names}", names=", ".join(NAMES)),
        )
    raise ArgumentError(
        Sentence("unknown workload {name!r}.{near}", name=name, near=nearest(name, NAMES)),
        do=Sentence("use one of {names}", names=", ".join(NAMES)),
    )
