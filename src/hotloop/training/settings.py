"""The settings of a training run, as ``fit`` takes them: the names and defaults are those of its signature."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from hotloop.training.callbacks import Moment

__all__ = ["RunSettings", "Settings"]


@dataclass(eq=False, kw_only=True)
class RunSettings:
    """What does not depend on how network, loss and optimizer are given; see :func:`hotloop.fit`."""

    epochs: int
    batch_size: int | None = None
    shuffle: bool | None = None
    drop_last: bool = False
    sample_weight: Any = None
    X_val: Any = None
    y_val: Any = None
    validate_every: int = 1
    patience: int | None = None
    clip_grad_norm: float | None = None
    record_every: int = 1
    device: str | torch.device = "auto"
    engine: str = "auto"
    threads: int | None = None
    seed: int | None = None
    progress: bool | str = "auto"
    callbacks: Sequence[Callable[[Moment], Any]] = ()
    checkpoint: str | os.PathLike[str] | None = None

    @property
    def numbers(self) -> dict[str, object]:
        """The settings that a saved run lists as they were given."""
        return {
            "epochs": self.epochs,
            "record_every": self.record_every,
            "validate_every": self.validate_every,
            "patience": self.patience,
            "clip_grad_norm": self.clip_grad_norm,
            "threads": self.threads,
        }


@dataclass(eq=False, kw_only=True)
class Settings(RunSettings):
    """Everything about a run but the model and the rows it learns from; see :func:`hotloop.fit`."""

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer
    schedule: Any = None
