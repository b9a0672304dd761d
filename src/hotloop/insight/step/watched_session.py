"""The eager step with the clock read between its phases.

::

    gather | forward | loss | zero_grad | backward | clip | optimizer | record | python
           ^ each bar is one reading; the clock is read twice in a row once a step, which tells what a reading takes

The same calls in the same order as :class:`hotloop.engines.eager.EagerSession` (a test compares losses and weights), so
what a line shows is what the loop does. Readings are kept in local names and put away once a step: the less the
observer does, the less it shows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hotloop.engines.eager import EagerSession
from hotloop.engines.interface import FloatArray
from hotloop.engines.task import Task
from hotloop.engines.threads import torch_threads
from hotloop.insight.measure import Clock

if TYPE_CHECKING:
    import torch

__all__ = ["PHASES", "Readings", "WatchedSession"]

PHASES = ("gather", "forward", "loss", "zero_grad", "backward", "clip", "optimizer", "record", "python", "waiting")
"""The lines of a ledger, in the order in which a step does them; "waiting" is for a device, after all steps."""

# What lies between two readings of a step, in order; "clock" is nothing but a reading.
_BETWEEN = ("gather", "forward", "loss", "zero_grad", "backward", "clip", "optimizer", "clock", "record", "python")


class Readings(NamedTuple):
    """What the clock said during one :meth:`WatchedSession.advance`.

    Parameters
    ----------
    of_steps : list of tuples of float
        Eleven readings a step, seconds.
    waited_s : float
        After the last step, until all losses were there.
    """

    of_steps: list[tuple[float, ...]]
    waited_s: float


class WatchedSession(EagerSession):
    """An eager session that keeps the readings of its last :meth:`advance`.

    Parameters
    ----------
    task : Task
    clock : Clock
        Read ten times a step.

    Attributes
    ----------
    last : Readings
        Looked at by :meth:`phases_s` when the clock has stopped: sorting them takes time.
    """

    def __init__(self, task: Task, clock: Clock = time.perf_counter):
        super().__init__(task)
        self._clock = clock
        self.last = Readings([], 0.0)

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Do the next steps, watched; see :class:`hotloop.engines.interface.Session`."""
        import torch

        task, clock, criterion = self._task, self._clock, self._loss
        model, optimizer, start_step = task.model, task.optimizer, self._dropout.start_step
        limit, parameters, clip = task.clip_grad_norm, self._parameters, self._clip_grad_norm
        losses: list[float] = []
        kept: list[torch.Tensor] = []
        readings: list[tuple[float, ...]] = []
        with torch_threads(task.threads), self._dropout:
            began = clock()
            for X, y, weight in self._batches(n_steps, lr_table):
                gathered = clock()
                start_step(self.step)
                output = model(X)
                forwarded = clock()
                loss = criterion(output, y, weight)
                compared = clock()
                optimizer.zero_grad()
                cleared = clock()
                loss.backward()  # type: ignore[no-untyped-call]
                derived = clock()
                if limit is not None:
                    clip(parameters, limit)
                clipped = clock()
                optimizer.step()
                updated = clock()
                read = clock()
                if self._on_cpu:
                    losses.append(loss.item())
                else:
                    kept.append(loss.detach().reshape(()))
                recorded = clock()
                self.step += 1
                # The engine's own names go out of scope here, too: freeing what they hold is part of a step.
                del X, y, weight, output
                ended = clock()
                readings.append(
                    (began, gathered, forwarded, compared, cleared, derived, clipped, updated, read, recorded, ended)
                )
                began = ended
        if not self._on_cpu:
            losses = torch.stack(kept).tolist()
        self.last = Readings(readings, clock() - began)
        return np.array(losses, dtype=np.float64)

    def phases_s(self, run: Readings | None = None) -> dict[str, float]:
        """Return the seconds of each phase of one :meth:`advance`, all steps together, without reading the clock.

        Parameters
        ----------
        run : Readings, optional
            The last by default.
        """
        run = run or self.last
        between = np.diff(np.array(run.of_steps), axis=1)
        if len(between) > 1:
            # The first step also starts what gathers rows, once for all steps: the others speak for it.
            gather = _BETWEEN.index("gather")
            between[0, gather] = between[1:, gather].mean()
        # The middle of many readings is free of interruptions; all the others took as long.
        between = between - np.median(between[:, _BETWEEN.index("clock")])
        found = dict(zip(_BETWEEN, between.sum(axis=0).tolist(), strict=True))
        del found["clock"]
        if self._task.clip_grad_norm is None:
            found["python"] += found.pop("clip")
        if self._on_cpu:
            found["python"] += run.waited_s
        else:
            found["waiting"] = run.waited_s
        return found
