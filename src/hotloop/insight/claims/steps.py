"""The training loop as one writes it by hand: what the arms of most claims are made of."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from hotloop.errors import UnsupportedError

if TYPE_CHECKING:
    import torch

    from hotloop.insight.loop import Loop

__all__ = ["Steps"]


class Steps:
    """A fresh copy of a loop, ready to do steps.

    Rows are cut into batches beforehand: what a step takes to fetch its rows is a claim of its own.

    Parameters
    ----------
    loop : Loop
    device : str
        As torch names it.
    dtype : torch.dtype, optional
        To which weights and features are converted.

    Raises
    ------
    UnsupportedError
        If the optimizer must be given a closure.
    """

    def __init__(self, loop: Loop, *, device: str = "cpu", dtype: torch.dtype | None = None) -> None:
        import torch

        from hotloop.engines.torch_state import loss_on, move

        task = loop.prepare(engine="eager", device=device).task
        move(task, device)
        self.model, self.optimizer = task.model, task.optimizer
        if isinstance(self.optimizer, torch.optim.LBFGS):
            raise UnsupportedError("a step of LBFGS is several", do="use another optimizer")
        self.criterion = loss_on(task.loss, device)
        rows = task.training.to(device)
        X, y = rows.X, rows.y
        if dtype is not None:
            # In place: the optimizer holds these very parameters.
            self.model.to(dtype)
            if isinstance(self.criterion, torch.nn.Module):
                self.criterion.to(dtype)
            X = X.to(dtype)
            y = y.to(dtype) if y.is_floating_point() else y
        bounds = [task.epoch.batch(index) for index in range(task.steps_per_epoch)]
        self.batches = [(X[start:stop], y[start:stop]) for start, stop in bounds]
        self._next_batch = itertools.cycle(self.batches).__next__

    def step(self) -> torch.Tensor:
        """Do a step; return its loss."""
        X, y = self._next_batch()
        loss = self.criterion(self.model(X), y)
        return self.update(loss)

    def update(self, loss: Any) -> torch.Tensor:
        """Change the weights by the gradients of a loss; return it."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss  # type: ignore[no-any-return]

    def next_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features and targets of the next step."""
        return self._next_batch()

    def run(self, n_steps: int) -> None:
        """Do steps and record nothing."""
        step = self.step
        for _ in range(n_steps):
            step()
