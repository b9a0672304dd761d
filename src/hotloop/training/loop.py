"""The training loop: asks a session for steps, and does between them what the plan says.

::

    while steps are left:
        advance the session        to the next epoch after which something happens, 50 ms at most
        look for NaN               and go back to the last good weights
        record, validate, step the schedule, call back
        save a checkpoint          now and then
        stop                       for patience or Ctrl-C

Nothing here knows how a step is done, and no engine knows what happens here. The length of a chunk depends on the
clock, the numbers do not: any split of the steps gives the same.
"""

from __future__ import annotations

import dataclasses
import math
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from hotloop.engines.finite import all_finite
from hotloop.engines.interface import AnyTask, Engine, FloatArray, Session, State
from hotloop.errors import OutOfMemoryError, OutputError, UnsupportedError
from hotloop.sentence import Sentence, clauses
from hotloop.training.callbacks import Moment
from hotloop.training.checkpoint import Checkpoint
from hotloop.training.divergence import FiniteWeights, WayBack
from hotloop.training.history import History
from hotloop.training.interruption import Interruption
from hotloop.training.plan import Plan
from hotloop.training.progress import ProgressBar
from hotloop.training.recorder import Recorder
from hotloop.training.validation import Validation

if TYPE_CHECKING:
    from hotloop.training.schedule import LearningRates

__all__ = ["TrainingLoop"]

OwnTask = TypeVar("OwnTask", bound=AnyTask)

_CHUNK_S = 0.05


class TrainingLoop(Generic[OwnTask]):
    """One run of training, from where the session stands to its end.

    Parameters
    ----------
    engine : Engine
    task : Task or LayersTask
    plan : Plan
    recorder : Recorder
    schedule : LearningRates, optional
    checkpoint : Checkpoint, optional
        Where to save the state now and then, and to go on from.
    may_change_engine : bool
        Go on in eager torch where a callback changes what the engine has compiled.

    Attributes
    ----------
    task : Task or LayersTask
        With the device that training ended on.
    stopped, stopped_why : str
        "finished", "patience", "interrupted" or "diverged"; and a sentence about it.
    signal_number : int or None
        What interrupted it.
    duration_s : float
        Of the loop alone, with what earlier parts of a resumed run took, and without saving its state.
    prepare_s : float
        Until the engine was ready.
    """

    def __init__(
        self,
        engine: Engine[OwnTask],
        task: OwnTask,
        plan: Plan,
        recorder: Recorder,
        schedule: LearningRates | None,
        checkpoint: Checkpoint | None,
        *,
        may_change_engine: bool = False,
    ):
        self.task: OwnTask = task
        self.validation, self.recorder = Validation(), recorder
        self.stopped, self.stopped_why = "", ""
        self.signal_number: int | None = None
        self.duration_s = self.prepare_s = 0.0
        self.notes: list[str] = []
        self._engine, self._plan, self._schedule, self._checkpoint = engine, plan, schedule, checkpoint
        self._may_change_engine, self._steps_per_epoch = may_change_engine, task.steps_per_epoch
        self._chunk_steps = 1
        self._said_unsaved = False
        self._saving_s = 0.0

    def run(self) -> Session:
        """Train, hand the model back, and return the session that trained it, closed."""
        with Interruption() as interruption:
            started_s = time.perf_counter()
            self._session = self._prepare(self.task)
            self.prepare_s = time.perf_counter() - started_s
            try:
                self._train(interruption)
            finally:
                self.notes += self._session.notes
                self._session.close()
        # Whoever pressed Ctrl-C during the last step wants out all the same.
        self.signal_number = interruption.signal_number
        return self._session

    def _train(self, interruption: Interruption) -> None:
        self._finite = FiniteWeights(self._session)
        if self._checkpoint is not None and (saved := self._checkpoint.read()):
            self._load_state(saved)
        if self._checkpoint is not None:
            self._checkpoint.check(self._state())
        self._history = History(self._session, self._schedule, self._steps_per_epoch)
        self._way_back = WayBack(self._history, self._finite, self._steps_per_epoch)
        self._chunk_steps = self._session.first_chunk
        started_s, earlier_s = time.perf_counter(), self.duration_s
        with ProgressBar(self._plan.epochs, self._plan.progress) as bar:
            while not self.stopped:
                self._next_chunk()
                bar.update(self.recorder.epochs, self.recorder.last_loss)
                self.duration_s = earlier_s + time.perf_counter() - started_s - self._saving_s
                if interruption.signal_number is not None and not self.stopped:
                    self._interrupt()
                if self._checkpoint is not None and (self.stopped or self._checkpoint.is_due()):
                    self._save(self._checkpoint)
        self._history.forget()
        self._keep_best()
        self.duration_s = earlier_s + time.perf_counter() - started_s - self._saving_s

    def _next_chunk(self) -> None:
        steps_per_epoch, step = self._steps_per_epoch, self._session.step
        last_step = self._plan.next_stop(self.recorder.epochs) * steps_per_epoch
        if self._history.is_due:
            if self._has_lost_weights():
                self._diverge(self._way_back.from_weights())
                return
            self._history.remember()
        if step < last_step:
            n_steps = min(self._chunk_steps, last_step - step)
            losses = self._advance(n_steps)
            if not all_finite(losses):
                bad = int(np.argmin(np.isfinite(losses)))
                self.recorder.add(losses[:bad])
                self._diverge(self._way_back.from_loss(step + bad, float(losses[bad])))
                return
            self.recorder.add(losses)
        self._after_epochs(step)
        if self._session.step >= self._plan.epochs * steps_per_epoch and not self.stopped:
            self._finish()

    def _advance(self, n_steps: int) -> FloatArray:
        """Do at most ``n_steps`` and learn how many fit into a chunk."""
        steps_per_epoch, step = self._steps_per_epoch, self._session.step
        lr_table = None
        if self._schedule is not None:
            # The schedule expects that the optimizer was stepped before it.
            if self._schedule.one_epoch_at_a_time or step < steps_per_epoch:
                n_steps = min(n_steps, steps_per_epoch - step % steps_per_epoch)
            lr_table = self._schedule.table(step // steps_per_epoch, (step + n_steps - 1) // steps_per_epoch)
        started_s = time.perf_counter()
        try:
            losses = self._history.advance(n_steps, lr_table)
        except OutOfMemoryError:
            if self.task.device == "cpu":
                raise
            losses = None
        if losses is None:
            self._continue_on_cpu(step)
            if self._schedule is not None:
                lr_table = self._schedule.table(step // steps_per_epoch, (step + n_steps - 1) // steps_per_epoch)
            losses = self._history.advance(n_steps, lr_table)
        seconds = max(time.perf_counter() - started_s, 1e-9)
        self._chunk_steps = max(1, min(2 * self._chunk_steps, int(_CHUNK_S * n_steps / seconds)))
        return losses

    def _after_epochs(self, step_before: int) -> None:
        """Do what is due if the steps since ``step_before`` ended an epoch."""
        steps_per_epoch, epoch = self._steps_per_epoch, self.recorder.epochs
        at_end = self._session.step == epoch * steps_per_epoch and self._session.step > step_before
        metric: float | None = self.recorder.last_loss
        if self._plan.validate_every:
            metric = None
            if at_end and self._plan.validates(epoch):
                metric = self._validate(epoch)
        if self.stopped == "diverged":
            return
        if self._schedule is not None:
            self._schedule.settle(epoch, metric)
        if at_end and (callbacks := self._plan.callbacks_at(epoch)):
            moment = Moment(epoch, self.recorder.last_loss, self.validation.last_loss, *self.task.shown)
            self._session.publish()
            for callback in callbacks:
                callback(moment)
            if refused := self._session.adopt():
                self._continue_in_eager(refused)
            if self._schedule is not None:
                self._schedule.reread()
            if self._has_lost_weights():
                self._diverge(self._way_back.from_weights())
                return
            self._history.remember()

    def _validate(self, epoch: int) -> float:
        loss = self._session.evaluate()
        if not math.isfinite(loss) and self._has_lost_weights():
            self._diverge(self._way_back.from_weights())
            return loss
        if self.validation.add(epoch, loss) and self._plan.patience is not None:
            self.validation.best_state = self._session.state(weights_only=True)
        waited = epoch - (self.validation.best_epoch or 0)
        if self._plan.patience is not None and waited >= self._plan.patience:
            best = Sentence("best was epoch {epoch}", epoch=epoch - waited)
            waiting = Sentence("no better validation loss for {n} epochs", n=waited)
            there_was = best if self.validation.best_epoch else Sentence("there was none")
            self._stop("patience", clauses(waiting, there_was))
        return loss

    def _finish(self) -> None:
        if self._has_lost_weights():
            self._diverge(self._way_back.from_weights())
        else:
            self._stop("finished", _all_done(self._plan.epochs))

    def _has_lost_weights(self) -> bool:
        return self._finite.first_lost(self._session) is not None

    def _diverge(self, why: str) -> None:
        """Stop where the session stands, at the last good weights."""
        self.validation.forget_after(self._session.step // self._steps_per_epoch)
        self._stop("diverged", why)

    def _interrupt(self) -> None:
        if self._has_lost_weights():
            self._diverge(self._way_back.from_weights())
            return
        epochs, step_of_epoch = divmod(self._session.step, self._steps_per_epoch)
        where = Sentence("interrupted after epoch {epoch}", epoch=epochs)
        if step_of_epoch:
            where = Sentence(
                "interrupted after epoch {epoch} and {step} of {steps} steps",
                epoch=epochs,
                step=step_of_epoch,
                steps=self._steps_per_epoch,
            )
        self._stop("interrupted", where)

    def _save(self, checkpoint: Checkpoint) -> None:
        # Weights that are not finite are found out about within the next step, and left behind.
        if not self.stopped and self._has_lost_weights():
            return
        began_s = time.perf_counter()
        try:
            checkpoint.write(self._state())
        except OutputError as error:
            # A full disk costs the way back, not the run; once said, that is known.
            if not self._said_unsaved:
                self._said_unsaved = True
                self.notes.append(
                    Sentence(
                        "the state for going on after an interruption could not be saved after epoch {epoch}: {why}",
                        epoch=self.recorder.epochs,
                        why=error.why or error.what,
                    )
                )
        self._saving_s += time.perf_counter() - began_s

    def _keep_best(self) -> None:
        """Load the best weights where patience asked for them; an interrupted run stays where it is."""
        if self.validation.best_state is not None and self.stopped in ("finished", "patience"):
            self._session.load_state(dataclasses.replace(self.validation.best_state, step=self._session.step))

    def _stop(self, stopped: str, why: str) -> None:
        self.stopped, self.stopped_why = stopped, why

    def _prepare(self, task: OwnTask) -> Session:
        try:
            return self._engine.prepare(task)
        except OutOfMemoryError as error:
            if task.device == "cpu":
                raise
            reason = error.what
        self.notes.append(Sentence("trained on the CPU: {reason}", reason=reason))
        self.task = task.on_cpu()
        return self._engine.prepare(self.task)

    def _continue_on_cpu(self, step: int) -> None:
        self.notes.append(
            Sentence(
                "went on on the CPU from step {step}: {device} had no memory left", step=step, device=self.task.device
            )
        )
        self._session.close()
        self.task = self.task.on_cpu()
        self._session = self._engine.prepare(self.task)
        self._history.continue_with(self._session, step)

    def _continue_in_eager(self, refused: UnsupportedError) -> None:
        """Go on with the model as a callback has left it, which the engine cannot compile."""
        if not self._may_change_engine:
            raise refused
        from hotloop.engines.eager import EagerEngine
        from hotloop.engines.task import Task

        assert isinstance(self.task, Task), "nobody changes layer specs"
        self.notes.append(
            Sentence(
                "went on in eager torch after epoch {epoch}: {what}, since {why}",
                epoch=self.recorder.epochs,
                what=refused.what,
                why=refused.why,
            )
        )
        session = EagerEngine().prepare(self.task)
        session.step = self._session.step
        self._session = session
        self._history.restart(session)

    def _state(self) -> dict[str, Any]:
        return {
            "session": dict(vars(self._session.state())),
            "recorder": self.recorder.state(),
            "validation": self.validation.state(),
            "schedule": self._schedule and self._schedule.state(),
            "stopped": "" if self.stopped == "interrupted" else self.stopped,
            "stopped_why": self.stopped_why,
            "duration_s": self.duration_s,
        }

    def _load_state(self, saved: dict[str, Any]) -> None:
        self._session.load_state(State(**saved["session"]))
        self.recorder.load_state(saved["recorder"])
        self.validation.load_state(saved["validation"])
        if self._schedule is not None:
            self._schedule.load_state(saved["schedule"])
        self.stopped, self.stopped_why = saved["stopped"], saved["stopped_why"]
        self.duration_s = saved["duration_s"]


# Fits of one kind say the same.
@lru_cache(maxsize=16)
def _all_done(n: int) -> Sentence:
    return Sentence("all {n} epochs done", n=n)
