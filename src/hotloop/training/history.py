"""The way back: recent states of a session and what was done since, so that any recent step can be stood at again.

A loss that turns NaN is noticed after a chunk of steps. Because steps are a function of the state alone (random
numbers are counted, not drawn), going back to a copy and repeating the steps up to the last good one gives exactly
the weights that were there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hotloop.engines.interface import FloatArray, Mark, Session

if TYPE_CHECKING:
    from hotloop.training.schedule import LearningRates

__all__ = ["History"]

# Time between copies, at least; and as a multiple of what the last one took, so that copies of large networks, too,
# never cost more than a few percent of the run.
_INTERVAL_S = 0.2
_INTERVAL_PER_COPY = 30


@dataclass
class _Stretch:
    """A copy of where training stood, and the advances made since."""

    mark: Mark
    schedule: dict[str, Any] | None
    advances: list[tuple[int, FloatArray | None]] = field(default_factory=list)


class History:
    """Copies of the last two stretches of training; the session advances through it.

    Parameters
    ----------
    session : Session
    schedule : LearningRates, optional
        Goes back together with the session.
    steps_per_epoch : int
    """

    def __init__(self, session: Session, schedule: LearningRates | None, steps_per_epoch: int):
        self._session, self._schedule, self._steps_per_epoch = session, schedule, steps_per_epoch
        self._stretches: list[_Stretch] = []
        self._due_at_s = 0.0
        self.remember()

    @property
    def session(self) -> Session:
        """The session that advances."""
        return self._session

    @property
    def is_due(self) -> bool:
        """Whether the last copy is old."""
        return time.perf_counter() >= self._due_at_s

    def remember(self) -> None:
        """Copy the state now: it is known to be good, and something outside the session may have changed it."""
        started_s = time.perf_counter()
        schedule = self._schedule.state() if self._schedule is not None else None
        # A stretch without steps is replaced: the one before it must stay, it leads to the last step done.
        # Forgetting comes first, so that there are never three copies.
        self._stretches = [stretch for stretch in self._stretches if stretch.advances][-1:]
        self._stretches.append(_Stretch(self._session.mark(), schedule))
        taken_s = time.perf_counter() - started_s
        self._due_at_s = started_s + max(_INTERVAL_S, _INTERVAL_PER_COPY * taken_s)

    def restart(self, session: Session) -> None:
        """Go on with a session of another engine, from where it stands."""
        self._session, self._stretches = session, []
        self.remember()

    def forget(self) -> None:
        """Let go of all copies: training is over."""
        self._stretches = []

    def advance(self, n_steps: int, lr_table: FloatArray | None) -> FloatArray:
        """Advance the session and note how."""
        losses = self._session.advance(n_steps, lr_table)
        self._stretches[-1].advances.append((n_steps, lr_table))
        return losses

    @property
    def first_step(self) -> int:
        """The earliest step that can be stood at again."""
        return self._stretches[0].mark.step

    def go_to(self, step: int) -> None:
        """Bring session and schedule back to a step, from ``first_step`` on."""
        self._replay(next(s for s in reversed(self._stretches) if s.mark.step <= step), step)

    def continue_with(self, session: Session, step: int) -> None:
        """Bring another session of the same task to a step of the last stretch, and go on with that one."""
        self._session = session
        self._replay(self._stretches[-1], step)

    def _replay(self, stretch: _Stretch, step: int) -> None:
        self._session.return_to(stretch.mark)
        self._settle(stretch.schedule)
        for n_steps, lr_table in stretch.advances:
            if self._session.step >= step:
                break
            self._session.advance(min(n_steps, step - self._session.step), lr_table)
            # Some schedules change more than rates: the next steps need what these left.
            self._settle()

    def _settle(self, state: dict[str, Any] | None = None) -> None:
        if self._schedule is None:
            return
        if state is not None:
            self._schedule.load_state(state)
        self._schedule.settle(self._session.step // self._steps_per_epoch)
