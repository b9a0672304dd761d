"""From the arguments of ``fit`` to a task with an engine and a device: everything that happens before training."""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.capture import from_module
from hotloop.engines.choose import check_engine_name, choose_device, choose_engine, choose_threads
from hotloop.engines.interface import Engine
from hotloop.engines.losses import RowLoss, loss_name
from hotloop.engines.probe import check_single_row, probe
from hotloop.engines.task import Rows, Task
from hotloop.errors import ArgumentError, Interrupted
from hotloop.program.random import row_order
from hotloop.runs.run import Run
from hotloop.training.arguments import check_model_and_optimizer, check_schedule, check_settings
from hotloop.training.checkpoint import Checkpoint, saved_seed
from hotloop.training.data import check_labels, features, row_weights, targets, try_loss
from hotloop.training.fingerprint import fingerprint_of
from hotloop.training.loop import TrainingLoop
from hotloop.training.plan import Plan
from hotloop.training.recorder import Recorder
from hotloop.training.schedule import LearningRates
from hotloop.training.settings import Settings

if TYPE_CHECKING:
    import torch

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A training run that has been checked and can start.

    Parameters
    ----------
    task : Task
    plan : Plan
    engine : Engine
    why_engine, why_device : str
        Why this engine and this device, in a clause each.
    notes : tuple of str
        What was converted.
    settings : Settings
        As given.
    """

    task: Task
    plan: Plan
    engine: Engine
    why_engine: str
    why_device: str
    notes: tuple[str, ...]
    settings: Settings

    def run(self) -> Run:
        """Train.

        Raises
        ------
        Interrupted
            On Ctrl-C, carrying the run so far.
        """
        task, plan, settings = self.task, self.plan, self.settings
        checkpoint = None
        if settings.checkpoint is not None:
            fingerprint = fingerprint_of(task, plan, settings)
            checkpoint = Checkpoint(os.fspath(settings.checkpoint), fingerprint, task.seed)
        started_at = datetime.now(UTC).isoformat(timespec="seconds")
        with _only_user(task.model):
            schedule = LearningRates(settings.schedule, task.optimizer) if settings.schedule is not None else None
            recorder = Recorder(task.steps_per_epoch, plan.record_every, _shares(task))
            loop = TrainingLoop(self.engine, task, plan, recorder, schedule, checkpoint)
            weights = loop.run()
        run = self._run_of(loop, weights, started_at)
        if loop.signal_number is not None:
            raise Interrupted(run, loop.signal_number)
        return run

    def _run_of(self, loop: TrainingLoop, weights: dict[str, Any], started_at: str) -> Run:
        losses, recorded_at = loop.recorder.records()
        validation_losses, validated_at = loop.validation.records()
        network = from_module(self.task.model)
        kept = {name: value.cpu() if hasattr(value, "cpu") else value for name, value in weights.items()}
        return Run(
            losses=losses,
            recorded_at=recorded_at,
            validation_losses=validation_losses,
            validated_at=validated_at,
            epochs=loop.recorder.epochs,
            best_epoch=loop.validation.best_epoch,
            duration_s=loop.duration_s,
            prepare_s=0.0,
            engine=self.engine.name,
            device=loop.task.device,
            why=f"{self.why_engine}; {self.why_device}",
            stopped=loop.stopped,
            stopped_why=loop.stopped_why,
            seed=self.task.seed,
            notes=(*self.notes, *loop.notes),
            settings=_as_data(self.task, self.settings),
            network=network,
            weights=kept if network is None else {name: tensor.numpy() for name, tensor in kept.items()},
            module_name=type(self.task.model).__qualname__,
            started_at=started_at,
        )


def prepare(model: torch.nn.Module, X: Any, y: Any, settings: Settings) -> Prepared:
    """Return the run that these arguments of :func:`hotloop.fit` describe; see there for what is raised."""
    check_engine_name(settings.engine)
    check_settings(settings)
    loss, optimizer, batch_size = settings.loss, settings.optimizer, settings.batch_size
    check_model_and_optimizer(model, optimizer)
    check_schedule(settings.schedule, optimizer, operator.index(settings.epochs))
    rows, validation, notes = _rows(model, X, y, settings)
    if batch_size is not None and settings.drop_last and batch_size > len(rows):
        raise ArgumentError(f"drop_last=True leaves nothing of {len(rows)} rows in batches of {batch_size}")
    size = min(operator.index(batch_size or len(rows)), len(rows))
    with _drawing:
        trial = probe(model, rows.X)
        for part, name in ((rows, "y"), (validation, "y_val")):
            if part is not None:
                check_labels(part.y, loss, trial, name)
        try_loss(loss, trial, rows.y)
        if (size if settings.drop_last else len(rows) % size or size) == 1:
            check_single_row(model, rows.X)
    device, why_device = choose_device(str(settings.device), model, size)
    task = Task(
        model=model,
        loss=loss,
        optimizer=optimizer,
        training=rows,
        validation=validation,
        batch_size=size,
        shuffle=batch_size is not None and settings.shuffle is not False,
        drop_last=settings.drop_last,
        clip_grad_norm=settings.clip_grad_norm,
        seed=_seed(settings),
        device=device,
        threads=choose_threads(settings.threads, model, size),
        probe=trial,
    )
    plan = Plan(
        epochs=operator.index(settings.epochs),
        record_every=operator.index(settings.record_every),
        validate_every=operator.index(settings.validate_every) if validation else None,
        patience=None if settings.patience is None else operator.index(settings.patience),
        callbacks=tuple(settings.callbacks),
        progress=bool(settings.progress),
    )
    engine, why_engine = choose_engine(settings.engine, task)
    return Prepared(task, plan, engine, why_engine, why_device, tuple(notes), settings)


def _rows(model: torch.nn.Module, X: Any, y: Any, settings: Settings) -> tuple[Rows, Rows | None, list[str]]:
    loss = settings.loss
    inputs, notes = features(X, model)
    labels, more = targets(y, len(inputs), loss, model)
    weight = row_weights(settings.sample_weight, len(inputs), loss, _weight_dtype(inputs, model))
    notes += more
    if settings.X_val is None:
        return Rows(inputs, labels, weight), None, notes
    # What was said about X and y need not be said again about X_val and y_val.
    inputs_val, _ = features(settings.X_val, model, "X_val")
    labels_val, _ = targets(settings.y_val, len(inputs_val), loss, model, "y_val")
    if inputs_val.shape[1:] != inputs.shape[1:]:
        raise ArgumentError(
            f"X_val has rows of shape {tuple(inputs_val.shape[1:])} and X of shape {tuple(inputs.shape[1:])}"
        )
    return Rows(inputs, labels, weight), Rows(inputs_val, labels_val), notes


def _weight_dtype(inputs: torch.Tensor, model: torch.nn.Module) -> torch.dtype:
    return inputs.dtype if inputs.is_floating_point() else next(model.parameters()).dtype


def _seed(settings: Settings) -> int:
    import torch

    if settings.seed is not None:
        return operator.index(settings.seed)
    with _drawing:
        drawn = int(torch.randint(0, (1 << 63) - 1, ()))
    earlier = None if settings.checkpoint is None else saved_seed(os.fspath(settings.checkpoint))
    return drawn if earlier is None else earlier


def _shares(task: Task) -> Callable[[int], NDArray[np.float64]]:
    """What each step's loss adds to its epoch's: its rows' share, or its weights' where rows are weighted."""
    ends = np.array([task.batch(step) for step in range(task.steps_per_epoch)])
    rows_of_step = (ends[:, 1] - ends[:, 0]).astype(np.float64)
    row_loss = RowLoss.of(task.loss)
    if row_loss is not None and row_loss.reduction == "sum":
        uniform = np.full(len(ends), 1 / rows_of_step.sum())
    else:
        uniform = rows_of_step / rows_of_step.sum()
    weight = task.training.weight
    if weight is None or len(ends) == 1 or (row_loss is not None and row_loss.reduction == "sum"):
        return lambda epoch: uniform
    row_weight = weight.cpu().numpy().astype(np.float64)

    def weighted(epoch: int) -> NDArray[np.float64]:
        in_order = row_weight[row_order(len(row_weight), task.seed, epoch)] if task.shuffle else row_weight
        of_step = np.add.reduceat(in_order[: ends[-1, 1]], ends[:, 0])
        # Rows that drop_last leaves out may be the only ones that weigh anything.
        return np.asarray(of_step / (of_step.sum() or 1.0))

    return weighted


def _as_data(task: Task, settings: Settings) -> dict[str, object]:
    """The settings of a run as JSON can hold them."""
    group = task.optimizer.param_groups[0]
    numbers = {name: value for name, value in group.items() if isinstance(value, (bool, int, float, tuple))}
    return {
        "loss": loss_name(task.loss),
        "optimizer": type(task.optimizer).__name__,
        **{f"optimizer_{name}": value for name, value in numbers.items() if value is not math.inf},
        "batch_size": task.batch_size,
        "rows": len(task.training),
        "shuffle": task.shuffle,
        "drop_last": task.drop_last,
        "schedule": None if settings.schedule is None else type(settings.schedule).__name__,
        **{name: getattr(settings, name) for name in ("epochs", "record_every", "validate_every", "patience")},
        **{name: getattr(settings, name) for name in ("clip_grad_norm", "threads")},
    }


# Trying a model out puts torch's generator back afterwards; no other thread may draw a seed meanwhile.
_drawing = threading.Lock()
_in_training: set[int] = set()
_in_training_lock = threading.Lock()


@contextmanager
def _only_user(model: torch.nn.Module) -> Iterator[None]:
    """Keep two threads from training one model at once."""
    with _in_training_lock:
        if id(model) in _in_training:
            raise ArgumentError("this model is being trained by another thread", do="give each thread its own copy")
        _in_training.add(id(model))
    try:
        yield
    finally:
        with _in_training_lock:
            _in_training.discard(id(model))
