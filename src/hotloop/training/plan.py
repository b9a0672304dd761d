"""When something happens between steps: data only."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hotloop.training.settings import RunSettings

__all__ = ["Plan"]


@dataclass(eq=False)
class Plan:
    """What training does besides advancing the session.

    Parameters
    ----------
    epochs : int
    record_every : int
    validate_every : int, optional
        None without validation rows.
    patience : int, optional
        Epochs without a better validation loss after which training stops; the best weights come back.
    callbacks : tuple of callables
    progress : bool
        Show a bar once training has taken a second.
    """

    epochs: int
    record_every: int
    validate_every: int | None
    patience: int | None
    callbacks: tuple[Callable[..., Any], ...]
    progress: bool

    @classmethod
    def of(cls, settings: RunSettings, *, validates: bool) -> Plan:
        """Return the plan that settings ask for, with or without validation rows."""
        return cls(
            epochs=operator.index(settings.epochs),
            record_every=operator.index(settings.record_every),
            validate_every=operator.index(settings.validate_every) if validates else None,
            patience=None if settings.patience is None else operator.index(settings.patience),
            callbacks=tuple(settings.callbacks),
            progress=bool(settings.progress),
        )

    def next_stop(self, epoch: int) -> int:
        """Return the next epoch, later than ``epoch``, after which something happens or training ends."""
        intervals = [getattr(callback, "every", 1) for callback in self.callbacks]
        if self.validate_every:
            intervals.append(self.validate_every)
        return min([self.epochs, *(epoch // every * every + every for every in intervals)])

    def validates(self, epoch: int) -> bool:
        """Whether the validation loss is computed after this epoch."""
        return bool(self.validate_every) and (epoch % (self.validate_every or 1) == 0 or epoch == self.epochs)

    def callbacks_at(self, epoch: int) -> list[Callable[..., Any]]:
        """Return the callbacks that run after this epoch."""
        return [callback for callback in self.callbacks if epoch % getattr(callback, "every", 1) == 0]
