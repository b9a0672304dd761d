"""The losses of steps -> the losses of epochs -> the records of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recorder"]

FloatArray = NDArray[np.float64]

_NONE: FloatArray = np.empty(0)


class Recorder:
    """Keeps epochs k, 2k, ... and the last.

    Parameters
    ----------
    steps_per_epoch : int
    every : int
        The k above.
    shares : callable
        ``shares(epoch, n_epochs)``: what each step's loss adds to that of its epoch, from a 0-based one on; float64
        array of shape (n_epochs, steps_per_epoch), or (steps_per_epoch,) where that is the same in all of them.

    Attributes
    ----------
    epochs : int
        Epochs whose losses are complete.
    last_loss : float
        The loss of the latest of them; NaN before the first.
    """

    def __init__(self, steps_per_epoch: int, every: int, shares: Callable[[int, int], FloatArray]):
        self.epochs = 0
        self.last_loss = float("nan")
        self._steps_per_epoch, self._every, self._shares = steps_per_epoch, every, shares
        self._open = _NONE
        self._losses: list[FloatArray] = []
        # Of the run that this one goes on from: records, and epochs.
        self._at_before: list[NDArray[np.int64]] = []
        self._before = 0

    def add(self, step_losses: FloatArray) -> None:
        """Take the losses of the next steps; a part of an epoch waits for the rest of it."""
        pending = np.concatenate([self._open, step_losses]) if len(self._open) else step_losses
        n_epochs, n_open = divmod(len(pending), self._steps_per_epoch)
        self._open = pending[-n_open:].copy() if n_open else _NONE
        if not n_epochs:
            return
        if self._steps_per_epoch == 1:
            epoch_losses = pending[:n_epochs]
        else:
            steps = pending[: n_epochs * self._steps_per_epoch].reshape(n_epochs, self._steps_per_epoch)
            epoch_losses = (steps * self._shares(self.epochs, n_epochs)).sum(axis=1)
        first = self._every - 1 - self.epochs % self._every
        self._losses.append(epoch_losses if self._every == 1 else epoch_losses[first :: self._every].copy())
        self.epochs += n_epochs
        self.last_loss = float(epoch_losses[-1])

    def records(self) -> tuple[FloatArray, NDArray[np.int64]]:
        """Return the losses recorded and their 1-based epochs, the last epoch's among them."""
        losses, at = list(self._losses), self._recorded_at()
        if self.epochs and self.epochs % self._every:
            losses.append(np.array([self.last_loss]))
            at.append(np.array([self.epochs]))
        return _joined(losses, np.float64), _joined(at, np.int64)

    def state(self) -> dict[str, Any]:
        """Return everything recorded so far, for a checkpoint."""
        losses, at = _joined(self._losses, np.float64), _joined(self._recorded_at(), np.int64)
        return {"epochs": self.epochs, "last_loss": self.last_loss, "open": self._open, "losses": losses, "at": at}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.epochs, self.last_loss, self._open = state["epochs"], state["last_loss"], state["open"]
        self._losses, self._at_before, self._before = [state["losses"]], [state["at"]], state["epochs"]

    def _recorded_at(self) -> list[NDArray[np.int64]]:
        first = self._before + self._every - self._before % self._every
        return [*self._at_before, np.arange(first, self.epochs + 1, self._every, dtype=np.int64)]


def _joined(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    # Most runs are one part.
    return parts[0] if len(parts) == 1 else np.concatenate(parts or [np.empty(0, dtype)])
