"""Learning rates of coming epochs, read off a torch scheduler that is stepped once per epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.torch_state import clone

if TYPE_CHECKING:
    import torch

__all__ = ["LearningRates"]


class LearningRates:
    """The table of learning rates that a session is given, and the scheduler it comes from.

    The scheduler is never ahead of training by more than the epochs of one ``table``; ``settle`` leaves it and the
    optimizer as a loop that calls ``schedule.step()`` after each epoch would.

    Parameters
    ----------
    schedule : torch LR scheduler
    optimizer : torch.optim.Optimizer

    Attributes
    ----------
    needs_loss : bool
        Whether a step of the schedule depends on a loss (``ReduceLROnPlateau``).
    one_epoch_at_a_time : bool
        Whether rates of later epochs cannot be known, or not only rates change.
    """

    def __init__(self, schedule: Any, optimizer: torch.optim.Optimizer):
        import torch

        self._schedule, self._optimizer = schedule, optimizer
        self.needs_loss = isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
        self.one_epoch_at_a_time = self.needs_loss or not _sets_rates_only(schedule)
        # Times the scheduler was stepped: the rates in the optimizer belong to this 0-based epoch.
        self._epoch = 0
        self._rates = {0: self._current()}
        # What each step was given, for when training goes back and comes by again.
        self._losses: dict[int, float | None] = {}

    def table(self, first_epoch: int, last_epoch: int) -> NDArray[np.float64]:
        """Return the rates of 0-based epochs ``first_epoch`` to ``last_epoch``, both included.

        Returns
        -------
        float64 array of shape (epochs, parameter groups)
        """
        while self._epoch < last_epoch:
            self._step(None)
        self._rates = {epoch: rates for epoch, rates in self._rates.items() if epoch >= first_epoch}
        return np.array([self._rates[epoch] for epoch in range(first_epoch, last_epoch + 1)])

    def settle(self, epochs_done: int, loss: float | None = None) -> None:
        """Leave scheduler and optimizer as they are after ``epochs_done`` epochs; ``loss`` is that of the last."""
        self._restore_rates()
        while self._epoch < epochs_done:
            self._step(loss)

    def reread(self) -> None:
        """Take the rates as they are now, since something else may have changed them."""
        self._rates = {self._epoch: self._current()}

    def state(self) -> dict[str, Any]:
        """Return where the schedule stands."""
        rates = self._rates[self._epoch]
        return {"schedule": clone(self._schedule.state_dict()), "epoch": self._epoch, "rates": rates}

    def load_state(self, state: dict[str, Any]) -> None:
        """Stand there again."""
        self._schedule.load_state_dict(clone(state["schedule"]))
        self._epoch = state["epoch"]
        self._rates = {self._epoch: state["rates"]}
        self._restore_rates()

    def _step(self, loss: float | None) -> None:
        if self.needs_loss:
            loss = self._losses.setdefault(self._epoch, loss)
            if loss is not None:
                self._schedule.step(loss)
        else:
            self._schedule.step()
        self._epoch += 1
        self._rates[self._epoch] = self._current()

    def _restore_rates(self) -> None:
        """Put the rates of this epoch into the optimizer: schedulers compute the next rates from those they find."""
        for group, rate in zip(self._optimizer.param_groups, self._rates[self._epoch], strict=True):
            _set_rate(group, rate)

    def _current(self) -> list[float]:
        return [float(group["lr"]) for group in self._optimizer.param_groups]


def _sets_rates_only(schedule: Any) -> bool:
    """Whether it is one of torch's own schedulers, without momentum that goes up and down."""
    own = type(schedule).__module__ == "torch.optim.lr_scheduler" and not getattr(schedule, "cycle_momentum", False)
    return own and all(_sets_rates_only(part) for part in getattr(schedule, "_schedulers", ()))


def _set_rate(group: dict[str, Any], rate: float) -> None:
    import torch

    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
