"""From the arguments of ``fit`` to a task with an engine and a device: everything that happens before training."""

from __future__ import annotations

import math
import operator
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.capture.loss_parts import LossParts
from hotloop.capture.model_parts import ModelParts
from hotloop.engines.choose import check_engine_name, choose_device, choose_engine, choose_threads, model_flop
from hotloop.engines.interface import Engine
from hotloop.engines.loss_settings import loss_settings
from hotloop.engines.losses import RowLoss
from hotloop.engines.probe import Probe, check_single_row, probe
from hotloop.engines.task import Rows, Task
from hotloop.errors import ArgumentError, UnsupportedError
from hotloop.program.random import row_order
from hotloop.training.arguments import check_model_and_optimizer, check_schedule, check_settings
from hotloop.training.checkpoint import saved_seed
from hotloop.training.data import check_labels, features, row_weights, targets, try_loss
from hotloop.training.fingerprint import fingerprint_of
from hotloop.training.plan import Plan
from hotloop.training.prepared import Prepared, row_settings, threads_notes
from hotloop.training.schedule import LearningRates
from hotloop.training.settings import Settings

if TYPE_CHECKING:
    import torch

__all__ = ["PreparedModule", "prepare"]

_PLAIN = (bool, int, float, tuple)


@dataclass(eq=False, kw_only=True)
class PreparedModule(Prepared[Task]):
    """A torch module that can be trained."""

    settings: Settings

    def fingerprint(self) -> str:
        """Return the digest of all that a checkpoint must agree with."""
        return fingerprint_of(self.task, self.plan, self.settings)

    def shares(self) -> Callable[[int, int], NDArray[np.float64]]:
        """Return each step's share of the rows, or of their weights where they have any."""
        return _shares(self.task)

    def schedule(self) -> LearningRates | None:
        """Return the learning rates that the scheduler gives."""
        schedule = self.settings.schedule
        return None if schedule is None else LearningRates(schedule, self.task.optimizer)

    def only_user(self) -> AbstractContextManager[None]:
        """Keep two threads from training one model at once."""
        return _OnlyUser(self.task.model)

    @property
    def module_name(self) -> str:
        """The name of the model's class."""
        return type(self.task.model).__qualname__

    def settings_as_data(self) -> Callable[[], dict[str, object]]:
        """Return a function that lists the settings that the run has when this is called, as JSON can hold them."""
        task, given = self.task, self.settings.numbers
        # Read again: what runs between steps, or within, may have changed it.
        loss = LossParts.of(task.loss)
        name_of_loss, own_of_loss = loss.name, loss_settings(loss)
        kind, n_groups = type(task.optimizer), len(task.optimizer.param_groups)
        # Without what is no plain data: it may be large, or hold the model.
        group = {name: value for name, value in task.optimizer.param_groups[0].items() if isinstance(value, _PLAIN)}
        schedule = None if self.settings.schedule is None else type(self.settings.schedule).__name__
        rows, is_weighted = row_settings(task.training.X, task.training.y), task.training.weight is not None
        batch_size, shuffle, drop_last = task.batch_size, task.shuffle, task.drop_last

        def listed() -> dict[str, object]:
            return {
                "loss": name_of_loss,
                **{f"loss_{name}": value for name, value in own_of_loss.items()},
                "optimizer": kind.__name__,
                "optimizer_module": kind.__module__,
                "optimizer_groups": n_groups,
                **{f"optimizer_{name}": value for name, value in group.items() if value is not math.inf},
                "batch_size": batch_size,
                **rows,
                "weighted": is_weighted,
                "shuffle": shuffle,
                "drop_last": drop_last,
                "schedule": schedule,
                **given,
            }

        return listed


def prepare(model: torch.nn.Module, X: Any, y: Any, settings: Settings) -> PreparedModule:
    """Return the run that these arguments of :func:`hotloop.fit` describe; see there for what is raised."""
    check_engine_name(settings.engine)
    check_settings(settings)
    loss, optimizer, batch_size = settings.loss, settings.optimizer, settings.batch_size
    parts = check_model_and_optimizer(model, optimizer)
    check_schedule(settings.schedule, optimizer, operator.index(settings.epochs))
    row_loss = RowLoss.of(loss)
    rows, validation, notes = _rows(parts, X, y, settings, row_loss)
    if batch_size is not None and settings.drop_last and batch_size > len(rows):
        raise ArgumentError(f"drop_last=True leaves nothing of {len(rows)} rows in batches of {batch_size}")
    size = min(operator.index(batch_size or len(rows)), len(rows))
    flop = model_flop(parts, size)
    shuffle = batch_size is not None and settings.shuffle is not False
    device, why_device = choose_device(str(settings.device), parts, flop)
    task = Task(
        model=model,
        loss=loss,
        row_loss=row_loss,
        optimizer=optimizer,
        training=rows,
        validation=validation,
        batch_size=size,
        shuffle=shuffle,
        drop_last=settings.drop_last,
        clip_grad_norm=settings.clip_grad_norm,
        seed=_seed(settings, is_random=shuffle or bool(settings.callbacks) or not _is_steady(parts)),
        device=device,
        threads=choose_threads(settings.threads, flop),
        probe=None,
        parts=parts,
    )
    started_s = time.perf_counter()
    try:
        engine, why_engine = choose_engine(settings.engine, task)
    except UnsupportedError:
        # If model, rows and loss do not fit each other, that is the better thing to say.
        _try_out(task)
        raise
    capture_s = time.perf_counter() - started_s
    task = _checked(task, engine)
    if engine.compiles:
        notes += threads_notes(settings)
    return PreparedModule(
        task=task,
        plan=Plan.of(settings, validates=validation is not None),
        engine=engine,
        why_engine=why_engine,
        why_device=why_device,
        capture_s=capture_s,
        notes=tuple(notes),
        settings=settings,
        seed=task.seed,
    )


def _checked(task: Task, engine: Engine[Task]) -> Task:
    """Return the task with whatever its engine needs to know of the model; raise where rows do not fit it."""
    if engine.compiles:
        # Capture has followed the model already, and knows its output.
        _check_labels(task, engine.output_of_a_row(task))
        return task
    return replace(task, probe=_try_out(task))


def _try_out(task: Task) -> Probe | None:
    """Send a few rows through a copy of the model and the loss; raise where they do not fit each other."""
    rows, last = task.training, len(task.training) % task.batch_size
    with _drawing:
        trial = probe(task.model, rows.X)
        _check_labels(task, None if trial is None else tuple(trial.output.shape[1:]))
        try_loss(task.loss, trial, rows.y)
        if (task.batch_size if task.drop_last else last or task.batch_size) == 1:
            check_single_row(task.model, rows.X)
    return trial


def _check_labels(task: Task, output_of_a_row: tuple[int, ...] | None) -> None:
    for part, name in ((task.training, "y"), (task.validation, "y_val")):
        if part is not None:
            check_labels(part, task.row_loss, output_of_a_row, name)


def _rows(
    model: ModelParts, X: Any, y: Any, settings: Settings, row_loss: RowLoss | None
) -> tuple[Rows, Rows | None, list[str]]:
    loss = settings.loss, row_loss
    inputs, notes = features(X, model)
    labels, more = targets(y, inputs.shape[0], *loss, model)
    weight = row_weights(settings.sample_weight, inputs.shape[0], *loss, _weight_dtype(inputs, model))
    notes += more
    if settings.X_val is None:
        return Rows(inputs, labels, weight), None, notes
    # What was said about X and y need not be said again about X_val and y_val.
    inputs_val, _ = features(settings.X_val, model, "X_val")
    labels_val, _ = targets(settings.y_val, len(inputs_val), *loss, model, "y_val")
    if inputs_val.shape[1:] != inputs.shape[1:]:
        raise ArgumentError(
            f"X_val has rows of shape {tuple(inputs_val.shape[1:])} and X of shape {tuple(inputs.shape[1:])}"
        )
    return Rows(inputs, labels, weight), Rows(inputs_val, labels_val), notes


def _weight_dtype(inputs: torch.Tensor, model: ModelParts) -> torch.dtype:
    return inputs.dtype if inputs.dtype.is_floating_point else model.parameters[0].dtype


def _is_steady(model: ModelParts) -> bool:
    """Whether a model is known to do nothing at random: it is a layer spec, which has no dropout."""
    return model.plain is not None and model.plain.network is not None


def _seed(settings: Settings, *, is_random: bool) -> int:
    if settings.seed is not None:
        return operator.index(settings.seed)
    if not is_random:
        # As little is drawn as the ordinary loop draws.
        return 0
    number, drawn = _number()
    with _drawing:
        number.random_(0, (1 << 63) - 1)
        seed = int(drawn)
    earlier = None if settings.checkpoint is None else saved_seed(os.fspath(settings.checkpoint))
    return seed if earlier is None else earlier


@cache
def _number() -> tuple[torch.Tensor, NDArray[np.int64]]:
    """A number to draw into, which is sooner done than making one at each fit; and the same as an array."""
    import torch

    with torch.inference_mode(False):
        number = torch.empty((), dtype=torch.int64, device="cpu")
    return number, number.numpy()


def _shares(task: Task) -> Callable[[int, int], NDArray[np.float64]]:
    """What each step's loss adds to its epoch's: its rows' share, or its weights' where rows are weighted."""
    if task.steps_per_epoch == 1:
        return lambda epoch, n_epochs: _WHOLE
    ends, uniform = task.epoch.ranges, task.epoch.shares
    row_loss = task.row_loss
    if row_loss is not None and row_loss.reduction == "sum":
        uniform = np.full(len(ends), 1 / (ends[:, 1] - ends[:, 0]).sum())
    weight = task.training.weight
    if weight is None or (row_loss is not None and row_loss.reduction == "sum"):
        return lambda epoch, n_epochs: uniform
    row_weight = weight.cpu().numpy().astype(np.float64)

    def of_order(in_order: NDArray[np.float64]) -> NDArray[np.float64]:
        of_step = np.add.reduceat(in_order[: ends[-1, 1]], ends[:, 0])
        # Rows that drop_last leaves out may be the only ones that weigh anything.
        return np.asarray(of_step / (of_step.sum() or 1.0))

    def weighted(epoch: int, n_epochs: int) -> NDArray[np.float64]:
        if not task.shuffle:
            return of_order(row_weight)
        orders = (row_order(len(row_weight), task.seed, each) for each in range(epoch, epoch + n_epochs))
        return np.stack([of_order(row_weight[order]) for order in orders])

    return weighted


_WHOLE = np.ones(1)
# Trying a model out puts torch's generator back afterwards; no other thread may draw a seed meanwhile.
_drawing = threading.Lock()
_in_training: dict[int, _OnlyUser] = {}


class _OnlyUser:
    """Keeps two threads from training one model at once."""

    def __init__(self, model: torch.nn.Module):
        self._model = model

    def __enter__(self) -> None:
        # ``setdefault`` looks and enters at once: no lock is needed.
        if _in_training.setdefault(id(self._model), self) is not self:
            raise ArgumentError("this model is being trained by another thread", do="give each thread its own copy")

    def __exit__(self, *raised: object) -> None:
        del _in_training[id(self._model)]
