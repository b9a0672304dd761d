"""The eager step with the clock read between its phases.

::

    gather | python | forward | loss | zero_grad | backward | clip or python | optimizer | python | record | python
           ^ each bar is one reading; the clock is read twice in a row once a step, which tells what a reading takes

The same calls in the same order as :class:`hotloop.engines.eager.EagerSession` (a test compares losses and weights), so
what a line shows is what the loop does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.eager import EagerSession
from hotloop.engines.interface import FloatArray
from hotloop.engines.task import Task
from hotloop.engines.threads import torch_threads
from hotloop.insight.measure import Clock

if TYPE_CHECKING:
    import torch

__all__ = ["PHASES", "WatchedSession"]

PHASES = ("gather", "forward", "loss", "zero_grad", "backward", "clip", "optimizer", "record", "python", "waiting")
"""The lines of a ledger, in the order in which a step does them; "waiting" is for a device, after all steps."""

# What lies between two readings of the clock, in order; "clock" is nothing but the reading itself.
_BETWEEN = (
    "gather",
    "python",
    "forward",
    "loss",
    "zero_grad",
    "backward",
    "clip",
    "optimizer",
    "python",
    "clock",
    "record",
    "python",
)


class WatchedSession(EagerSession):
    """An eager session that keeps what each phase of its last :meth:`advance` took.

    Parameters
    ----------
    task : Task
    clock : Clock
        Read twelve times a step.

    Attributes
    ----------
    phases_s : dict of float
        Seconds by phase, all steps together, without what reading the clock took.
    """

    def __init__(self, task: Task, clock: Clock = time.perf_counter):
        super().__init__(task)
        self.phases_s: dict[str, float] = {}
        self._clock = clock
        self._readings: list[float] = []

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Do the next steps, watched; see :class:`hotloop.engines.interface.Session`."""
        import torch

        kept: list[float | torch.Tensor] = []
        clock = self._clock
        self._readings = [clock()]
        read = self._readings.append
        with torch_threads(self._task.threads), self._dropout:
            for X, y, weight in self._batches(n_steps, lr_table):
                read(clock())
                loss = self._update(X, y, weight)
                read(clock())
                read(clock())
                kept.append(loss.item() if self._on_cpu else loss.detach().reshape(()))
                read(clock())
                self.step += 1
                del X, y, weight
                read(clock())
        losses = kept if self._on_cpu else torch.stack(kept).tolist()  # type: ignore[arg-type]
        self.phases_s = _phases_s(np.array(self._readings))
        self.phases_s["python" if self._on_cpu else "waiting"] += clock() - self._readings[-1]
        if self._task.clip_grad_norm is None:
            self.phases_s["python"] += self.phases_s.pop("clip")
        return np.array(losses, dtype=np.float64)

    def _update(self, X: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        loss = self._gradients(X, y, weight)
        read, clock = self._readings.append, self._clock
        read(clock())
        self._task.optimizer.step()
        read(clock())
        return loss

    def _backward(self, X: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        read, clock = self._readings.append, self._clock
        self._dropout.start_step(self.step)
        read(clock())
        output = self._task.model(X)
        read(clock())
        loss = self._loss(output, y, weight)
        read(clock())
        self._task.optimizer.zero_grad()
        read(clock())
        loss.backward()  # type: ignore[no-untyped-call]
        read(clock())
        return loss


def _phases_s(readings: NDArray[np.float64]) -> dict[str, float]:
    """Return what each phase took, all steps together."""
    between = np.diff(readings).reshape(-1, len(_BETWEEN))
    # The middle of many readings is free of interruptions; all the others took as long.
    clock_s = float(np.median(between[:, _BETWEEN.index("clock")]))
    phases_s = dict.fromkeys(PHASES, 0.0)
    for name, seconds in zip(_BETWEEN, (between - clock_s).sum(axis=0).tolist(), strict=True):
        if name != "clock":
            phases_s[name] += seconds
    return phases_s
