"""Training a layer spec: all that the torch-free engine is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hotloop.compiler.compiled import Rows
from hotloop.engines.epoch import Epoch
from hotloop.program.network import Network
from hotloop.program.optimizers import OptimizerRule

__all__ = ["LayersTask"]


@dataclass(frozen=True, eq=False)
class LayersTask:
    """One training run of a layer spec on the CPU; see :class:`hotloop.engines.interface.AnyTask`.

    Parameters
    ----------
    network : Network
    weights : mapping of float32 arrays
        The first weights, by the names of ``network.parameter_shapes``.
    output : "classification" or "regression"
        Trained by cross entropy, or by the mean squared difference.
    class_weight : float32 array of shape (outputs,), optional
    rule : OptimizerRule
    learning_rate : float
    training, validation : Rows
        float32 features, and int64 labels or float32 numbers.
    batch_size : int
        Rows of a step; the number of training rows for full batch.
    shuffle, drop_last : bool
        As in :class:`hotloop.engines.task.Task`.
    seed : int
        Of the row order.
    """

    network: Network
    weights: Mapping[str, NDArray[np.float32]]
    output: Literal["classification", "regression"]
    class_weight: NDArray[np.float32] | None
    rule: OptimizerRule
    learning_rate: float
    training: Rows
    validation: Rows | None
    batch_size: int
    shuffle: bool
    drop_last: bool
    seed: int

    @property
    def device(self) -> str:
        """Where to train."""
        return "cpu"

    @cached_property
    def epoch(self) -> Epoch:
        """How an epoch is cut into steps."""
        return Epoch(len(self.training), self.batch_size, self.drop_last)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Updates in one epoch."""
        return self.epoch.n_steps

    @property
    def shown(self) -> tuple[Any, Any]:
        """Nothing: there are no module and no torch optimizer to show to callbacks."""
        return None, None

    def on_cpu(self) -> LayersTask:
        """Return the task itself."""
        return self
