"""A training run that has been checked and can start: what is the same whatever is trained."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.interface import AnyTask, Engine, Weights
from hotloop.errors import Interrupted
from hotloop.program.network import Network
from hotloop.runs.run import Run
from hotloop.sentence import Sentence, clauses
from hotloop.training.checkpoint import Checkpoint
from hotloop.training.loop import TrainingLoop
from hotloop.training.plan import Plan
from hotloop.training.recorder import Recorder
from hotloop.training.settings import RunSettings

if TYPE_CHECKING:
    from hotloop.training.schedule import LearningRates

__all__ = ["Prepared", "row_settings", "threads_notes"]

OwnTask = TypeVar("OwnTask", bound=AnyTask)


@dataclass(eq=False, kw_only=True)
class Prepared(ABC, Generic[OwnTask]):
    """A task with its plan, its engine and the reasons for them; each kind of task has a class of its own.

    Parameters
    ----------
    task : Task or LayersTask
    plan : Plan
    engine : Engine
    why_engine, why_device : str
        Why this engine and this device, in a clause each.
    capture_s : float
        Time that choosing the engine took: those that compile capture the task to see whether they can.
    notes : tuple of str
        What was converted.
    settings : RunSettings
        As given.
    seed : int
        Of row order and dropout masks.
    """

    task: OwnTask
    plan: Plan
    engine: Engine[OwnTask]
    why_engine: str
    why_device: str
    capture_s: float
    notes: tuple[str, ...]
    settings: RunSettings
    seed: int

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the digest of all that a checkpoint must agree with."""

    @abstractmethod
    def shares(self) -> Callable[[int, int], NDArray[np.float64]]:
        """Return what each step's loss adds to that of its epoch, as :class:`Recorder` takes it."""

    @abstractmethod
    def settings_as_data(self) -> dict[str, object] | Callable[[], dict[str, object]]:
        """Return the settings of the run as JSON can hold them, or a function that lists those of now."""

    @property
    @abstractmethod
    def module_name(self) -> str:
        """What the class that is trained is called."""

    def schedule(self) -> LearningRates | None:
        """Return the learning rates of coming epochs where they change."""
        return None

    def only_user(self) -> AbstractContextManager[None]:
        """Keep two threads from training one model at once."""
        return nullcontext()

    def run(self) -> Run:
        """Train.

        Raises
        ------
        Interrupted
            On Ctrl-C, carrying the run so far.
        """
        checkpoint = None
        if self.settings.checkpoint is not None:
            checkpoint = Checkpoint(os.fspath(self.settings.checkpoint), self.fingerprint(), self.seed)
        started_at = _date(int(time.time()))
        with self.only_user():
            recorder = Recorder(self.task.steps_per_epoch, self.plan.record_every, self.shares())
            may_change = self.settings.engine == "auto"
            parts = (self.engine, self.task, self.plan, recorder, self.schedule(), checkpoint)
            loop = TrainingLoop(*parts, may_change_engine=may_change)
            network, weights = loop.run().learned()
        run = self._run_of(loop, network, weights, started_at)
        if loop.signal_number is not None:
            raise Interrupted(run, loop.signal_number)
        return run

    def _run_of(
        self,
        loop: TrainingLoop[OwnTask],
        network: Network | None,
        weights: Weights,
        started_at: str,
    ) -> Run:
        losses, recorded_at = loop.recorder.records()
        validation_losses, validated_at = loop.validation.records()
        return Run(
            losses=losses,
            recorded_at=recorded_at,
            validation_losses=validation_losses,
            validated_at=validated_at,
            epochs=loop.recorder.epochs,
            best_epoch=loop.validation.best_epoch,
            duration_s=loop.duration_s,
            prepare_s=self.capture_s + loop.prepare_s if self.engine.compiles else 0.0,
            engine=self.engine.name,
            device=loop.task.device,
            why=_why(self.why_engine, self.why_device),
            stopped=loop.stopped,
            stopped_why=loop.stopped_why,
            seed=self.seed,
            notes=(*self.notes, *loop.notes),
            settings=self.settings_as_data(),
            network=network,
            weights=weights,
            module_name=self.module_name,
            started_at=started_at,
        )


def threads_notes(settings: RunSettings) -> tuple[str, ...]:
    """Return what to say where compiled code is given threads that it does not use."""
    if settings.threads is None or settings.threads == 1:
        return ()
    return (Sentence("compiled code runs on one thread: threads={n} changes nothing", n=settings.threads),)


def row_settings(X: Any, y: Any) -> dict[str, object]:
    """Return how many rows there are, and what a row of features and its target are, as settings list it."""
    return {
        "rows": X.shape[0],
        "row_shape": list(X.shape[1:]),
        "row_dtype": _dtype_name(X.dtype),
        "target_shape": list(y.shape[1:]),
        "target_dtype": _dtype_name(y.dtype),
    }


# Fits of one kind say the same.
@lru_cache(maxsize=8, typed=True)
def _why(engine: str, device: str) -> str:
    return clauses(engine, device)


@lru_cache(maxsize=1)
def _date(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()


@cache
def _dtype_name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
