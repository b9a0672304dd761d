"""The arguments of ``fit``, checked before anything is touched; several mistakes are reported together."""

from __future__ import annotations

import math
import numbers
import operator
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hotloop.capture.model_parts import ModelParts
from hotloop.errors import ArgumentError
from hotloop.sentence import Sentence, clauses
from hotloop.training.settings import RunSettings, Settings

if TYPE_CHECKING:
    import torch

__all__ = ["check_model_and_optimizer", "check_schedule", "check_settings"]


# Settings that count something: how many there may be, and whether None stands for something. Epochs are counted in
# 64 bits; torch crashes where a system cannot make so many threads.
_COUNTS = {
    "epochs": (1 << 62, False),
    "batch_size": (1 << 62, True),
    "validate_every": (1 << 62, False),
    "record_every": (1 << 62, False),
    "patience": (1 << 62, True),
    "threads": (1024, True),
}


def check_settings(settings: RunSettings) -> None:
    """Raise one error that names every setting of ``fit`` that makes no sense.

    Raises
    ------
    ArgumentError
        With all mistakes in one message.
    """
    mistakes = _count_mistakes(settings)
    clip: Any = settings.clip_grad_norm
    seed: Any = settings.seed
    if clip is not None and not (_is_number(clip) and 0 < clip < math.inf):
        mistakes.append(f"clip_grad_norm is {clip!r}; it must be a number above 0")
    if seed is not None and not (_is_integer(seed) and 0 <= seed < 1 << 63):
        mistakes.append(f"seed is {seed!r}; it must be a whole number from 0 to 2**63 - 1")
    progress: Any = settings.progress
    if not (isinstance(progress, bool) or (isinstance(progress, str) and progress == "auto")):
        mistakes.append(f"progress is {settings.progress!r}; it must be 'auto', True or False")
    if (settings.X_val is None) != (settings.y_val is None):
        mistakes.append("X_val and y_val must be given together")
    if settings.patience is not None and settings.X_val is None:
        mistakes.append("patience needs validation rows: give X_val and y_val")
    if settings.shuffle and settings.batch_size is None:
        mistakes.append("shuffle=True needs a batch_size: a full batch has no order of rows to change")
    for name, value in (("shuffle", settings.shuffle), ("drop_last", settings.drop_last)):
        if type(value) is not bool and not (name == "shuffle" and value is None):
            mistakes.append(f"{name} is {value!r}; it must be True or False")
    path: Any = settings.checkpoint
    if path is not None and not (isinstance(path, (str, os.PathLike)) and os.fspath(path)):
        mistakes.append(f"checkpoint is {path!r}; it must be the path of a file")
    mistakes += _callback_mistakes(settings.callbacks)
    loss: Any = settings.loss if isinstance(settings, Settings) else None
    if isinstance(loss, type):
        mistakes.append(f"loss is the class {loss.__name__}; it must be one made from it: {loss.__name__}()")
    elif isinstance(settings, Settings) and not callable(loss):
        mistakes.append(f"loss is {loss!r}; it must be a torch loss, or a function of (output, y)")
    if mistakes:
        raise ArgumentError(clauses(*mistakes), see="help(hotloop.fit)")


def check_model_and_optimizer(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> ModelParts:
    """Return the parts of a model; raise where it and its optimizer do not belong together.

    Raises
    ------
    ArgumentError
        Naming what is wrong.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ArgumentError(f"model must be a torch.nn.Module, not {type(model).__name__}")
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ArgumentError(
            f"optimizer must be a torch optimizer, not {_named(optimizer)}",
            do="for example torch.optim.SGD(model.parameters(), lr=0.01)",
        )
    parts = ModelParts.of(model)
    _check_parameters(parts, optimizer)
    return parts


def check_schedule(schedule: Any, optimizer: torch.optim.Optimizer, epochs: int) -> None:
    """Raise where a schedule is none, is of another optimizer, or ends before training does.

    Raises
    ------
    ArgumentError
        Naming what is wrong.
    """
    if schedule is None:
        return
    import torch

    if not isinstance(schedule, (torch.optim.lr_scheduler.LRScheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)):
        raise ArgumentError(f"schedule must be a torch learning rate scheduler, not {_named(schedule)}")
    if schedule.optimizer is not optimizer:
        raise ArgumentError("schedule belongs to another optimizer", do="build it from the optimizer given to fit")
    if isinstance(schedule, torch.optim.lr_scheduler.OneCycleLR) and epochs > schedule.total_steps:
        raise ArgumentError(
            f"the OneCycleLR schedule is over after {schedule.total_steps} steps, and epochs is {epochs}",
            why="the schedule makes one step an epoch",
            do="build it with total_steps=epochs",
        )


def _check_parameters(parts: ModelParts, optimizer: torch.optim.Optimizer) -> None:
    import torch

    parameters = parts.parameters
    own = set(map(id, parameters))
    foreign = [parameter for parameter in parameters if type(parameter) is not torch.nn.Parameter]
    if foreign and any(map(torch.nn.parameter.is_lazy, foreign)):
        raise ArgumentError(
            "the model has lazy layers whose sizes are not known yet",
            do="call model(X[:1]) once, then build the optimizer",
        )
    if True not in [parameter.requires_grad for parameter in parameters]:
        raise ArgumentError("the model has no parameter to train")
    optimized = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if not own.issuperset(map(id, optimized)):
        raise ArgumentError(
            "the optimizer holds parameters that are not the model's", do="build it from model.parameters()"
        )
    if True not in [parameter.requires_grad for parameter in optimized]:
        raise ArgumentError("the optimizer holds no parameter that can be trained")
    devices = {tensor.device for tensor in (*parameters, *parts.buffers)}
    if len(devices) > 1:
        raise ArgumentError(
            f"the model is spread over {', '.join(sorted(map(str, devices)))}", do="put it on one device"
        )
    if parameters[0].is_meta:
        raise ArgumentError("the model is on the meta device: it has shapes but no weights")


def _callback_mistakes(callbacks: Sequence[Callable[..., Any]]) -> list[str]:
    if not isinstance(callbacks, (list, tuple)):
        return [f"callbacks must be a list of functions, not {type(callbacks).__name__}"]
    mistakes = [f"callback {callback!r} cannot be called" for callback in callbacks if not callable(callback)]
    for callback in callbacks:
        every = getattr(callback, "every", 1)
        if not (_is_integer(every) and every >= 1):
            mistakes.append(f"callback {_named(callback)} has every = {every!r}; it must be a whole number from 1 on")
    return mistakes


def _count_mistakes(settings: RunSettings) -> list[str]:
    mistakes: list[str] = []
    for name, (most, is_optional) in _COUNTS.items():
        value = getattr(settings, name)
        if (type(value) is int and 1 <= value <= most) or (is_optional and value is None):
            continue
        if not _is_integer(value) or value < 1:
            mistakes.append(
                Sentence("{name} is {value!r}; it must be a whole number from 1 on", name=name, value=value)
            )
        elif value > most:
            mistakes.append(Sentence("{name} is {value}; it must be at most {most}", name=name, value=value, most=most))
    return mistakes


def _is_integer(value: Any) -> bool:
    # NumPy's integers count, bool does not.
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _named(value: Any) -> str:
    return getattr(value, "__name__", None) or type(value).__name__
