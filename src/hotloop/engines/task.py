"""What is to be trained, on which rows, in which steps: all that an engine is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.capture.model_parts import ModelParts
from hotloop.compiler.compiled import Rows as Arrays
from hotloop.engines.epoch import Epoch, n_steps
from hotloop.engines.losses import RowLoss
from hotloop.engines.probe import Probe

if TYPE_CHECKING:
    import torch

__all__ = ["Rows", "Task"]

_UNSIGNED = np.dtype(np.uint64)


@dataclass(eq=False)
class Rows:
    """Rows of data as tensors on one device.

    Parameters
    ----------
    X : tensor of shape (rows, ...)
        Features, of the dtype the model takes.
    y : tensor of shape (rows,) or (rows, ...)
        Targets, of the dtype and shape the loss takes.
    weight : tensor of shape (rows,), optional
        How much each row counts.
    """

    X: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor | None = None
    # Worked out once. Python 3.11's ``cached_property`` would take a lock for each, which small fits notice.
    _arrays: Arrays | None = field(default=None, init=False, repr=False)
    _targets: NDArray[Any] | None = field(default=None, init=False, repr=False)
    _top_label: int | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return self.X.shape[0]

    @property
    def arrays(self) -> Arrays:
        """The same rows as C-contiguous arrays; they share the tensors' memory wherever they can."""
        if self._arrays is None:
            weight = None if self.weight is None else _array(self.weight)
            self._arrays = Arrays(_array(self.X), self.targets, weight)
        return self._arrays

    @property
    def targets(self) -> NDArray[Any]:
        """``arrays.y``, without the rest."""
        if self._targets is None:
            self._targets = _array(self.y)
        return self._targets

    @property
    def label_range(self) -> tuple[int, int] | None:
        """The least and the largest label; None where y holds numbers, or nothing."""
        if self.y.dtype.is_floating_point or not self.y.numel():
            return None
        if self.y.is_cpu:
            return int(self.targets.min()), int(self.targets.max())
        low, high = self.y.aminmax()
        return int(low), int(high)

    def has_labels_below(self, n: int) -> bool:
        """Whether all labels, on the CPU, are from 0 to ``n - 1``; looked at once."""
        if self._top_label is None:
            # As numbers without a sign, negative ones are the largest. Sooner done than ``max`` with a small table.
            labels = self.targets.reshape(-1).view(_UNSIGNED)
            self._top_label = int(labels[labels.argmax()])
        return self._top_label < n

    @property
    def all(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """X, y and weight of all rows."""
        return self.X, self.y, self.weight

    @property
    def size_bytes(self) -> int:
        """Memory of the tensors."""
        return sum(tensor.nbytes for tensor in (self.X, self.y, self.weight) if tensor is not None)

    def to(self, device: str) -> Rows:
        """Return the same rows on a device."""
        weight = None if self.weight is None else self.weight.to(device)
        return Rows(self.X.to(device), self.y.to(device), weight)


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    try:
        array = tensor.numpy()
    except (RuntimeError, TypeError):  # a gradient, a negated view, another device
        array = tensor.numpy(force=True)
    return np.ascontiguousarray(array)


@dataclass(eq=False)
class Task:
    """One training run, as an engine sees it.

    A **step** is one update of the weights; an **epoch** is one pass over the training rows, ``steps_per_epoch``
    steps long. When to record, validate, stop or save is not an engine's business: ``training/`` decides it, and
    asks for so many steps at a time.

    Parameters
    ----------
    model, loss, optimizer
        As given to :func:`hotloop.fit`.
    row_loss : RowLoss, optional
        The loss row by row, where it can be taken apart.
    training, validation : Rows
        On any device; the engine puts them where it trains.
    batch_size : int
        Rows of a step; the number of training rows for full batch.
    shuffle : bool
        Visit the rows in the order ``program.random.row_order(rows, seed, epoch)``.
    drop_last : bool
        Leave out the remainder batch of an epoch.
    clip_grad_norm : float, optional
        Largest norm of all gradients together.
    seed : int
        Of row order and dropout.
    device : str
        Where to train, as torch names it: "cpu", "cuda:0", "mps".
    threads : int, optional
        CPU threads to use; None leaves torch's number.
    probe : Probe, optional
        What one forward pass showed.
    parts : ModelParts, optional
        What the model is made of.
    findings : dict
        What an engine found out when asked whether it can run the task, for when it does.

    Attributes
    ----------
    steps_per_epoch : int
        Updates in one epoch.
    """

    model: torch.nn.Module
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    row_loss: RowLoss | None
    optimizer: torch.optim.Optimizer
    training: Rows
    validation: Rows | None
    batch_size: int
    shuffle: bool
    drop_last: bool
    clip_grad_norm: float | None
    seed: int
    device: str
    threads: int | None
    probe: Probe | None
    parts: ModelParts | None = None
    findings: dict[str, Any] = field(default_factory=dict)
    steps_per_epoch: int = field(init=False)

    def __post_init__(self) -> None:
        self.steps_per_epoch = n_steps(len(self.training), self.batch_size, self.drop_last)

    @cached_property
    def epoch(self) -> Epoch:
        """How an epoch is cut into steps."""
        return Epoch(len(self.training), self.batch_size, self.drop_last)

    @property
    def shown(self) -> tuple[Any, Any]:
        """Model and optimizer, as callbacks are given them."""
        return self.model, self.optimizer

    def on_cpu(self) -> Task:
        """Return the same task on the CPU."""
        return replace(self, device="cpu")
