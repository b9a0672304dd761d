"""The validation losses of a run, the best of them, and when patience ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.interface import State

__all__ = ["Validation"]


_NO_RECORDS: tuple[NDArray[np.float64], NDArray[np.int64]] = np.empty(0), np.empty(0, dtype=np.int64)


class Validation:
    """Keeps each validation loss, and the weights of the best where they are to come back.

    Attributes
    ----------
    best_epoch : int or None
        1-based; the first with the lowest loss.
    """

    def __init__(self) -> None:
        self.best_epoch: int | None = None
        self.best_state: State | None = None
        self._best_loss = math.inf
        self._losses: list[float] = []
        self._at: list[int] = []

    @property
    def last_loss(self) -> float | None:
        """The latest validation loss."""
        return self._losses[-1] if self._losses else None

    def add(self, epoch: int, loss: float) -> bool:
        """Take the loss after an epoch; return whether it is the best so far."""
        self._losses.append(loss)
        self._at.append(epoch)
        # NaN compares false: it is never the best.
        if not loss < self._best_loss:
            return False
        self.best_epoch, self._best_loss = epoch, loss
        return True

    def forget_after(self, epoch: int) -> None:
        """Drop what was measured after an epoch, when training goes back to it."""
        kept = [index for index, at in enumerate(self._at) if at <= epoch]
        self._losses, self._at = [self._losses[index] for index in kept], [self._at[index] for index in kept]
        if self.best_epoch is not None and self.best_epoch > epoch:
            self._best_loss = min((loss for loss in self._losses if not math.isnan(loss)), default=math.inf)
            self.best_epoch = next(
                (at for at, loss in zip(self._at, self._losses, strict=True) if loss == self._best_loss), None
            )

    def records(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the validation losses and their epochs."""
        if not self._at:
            return _NO_RECORDS
        return np.array(self._losses, dtype=np.float64), np.array(self._at, dtype=np.int64)

    def state(self) -> dict[str, Any]:
        """Return everything kept, for a checkpoint."""
        best = None if self.best_state is None else {"step": self.best_state.step, "model": self.best_state.model}
        losses, at = self.records()
        return {"best_epoch": self.best_epoch, "best": best, "losses": losses, "at": at}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._losses, self._at = state["losses"].tolist(), state["at"].tolist()
        self.best_epoch = state["best_epoch"]
        if self.best_epoch is not None:
            self._best_loss = self._losses[self._at.index(self.best_epoch)]
        if state["best"] is not None:
            self.best_state = State(state["best"]["step"], state["best"]["model"], None, {})
