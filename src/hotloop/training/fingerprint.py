"""A digest of what must be the same for a checkpoint to go on: data, network, optimizer, schedule, settings.

The weights are not part of it: they come from the checkpoint. Nor is anything that moves during training, so that
the very objects of an interrupted run are recognised too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.capture.loss_parts import loss_name
from hotloop.training.plan import Plan
from hotloop.training.settings import Settings

if TYPE_CHECKING:
    from hotloop.engines.layers_task import LayersTask
    from hotloop.engines.task import Task

__all__ = ["fingerprint_of", "fingerprint_of_layers"]

# What torch's schedules change in themselves, and in the optimizer's groups.
_MOVING = frozenset(
    ("last_epoch", "T_cur", "T_i", "best", "num_bad_epochs", "cooldown_counter", "last_batch_iteration")
) | frozenset(
    ("_step_count", "_last_lr", "_is_initial", "_get_lr_called_within_step"),
)
_SCHEDULED = frozenset(["params", "lr", "momentum", "betas"])


def fingerprint_of(task: Task, plan: Plan, settings: Settings) -> str:
    """Return the digest of a run, in hexadecimal."""
    digest = _Digest()
    for part in (task.training, task.validation):
        digest.add("data", (part.X, part.y, part.weight) if part else None)
    digest.add("network", repr(task.model))
    digest.add("modes", [module.training for module in task.model.modules()])
    for name, parameter in task.model.named_parameters():
        digest.add(name, (tuple(parameter.shape), str(parameter.dtype), parameter.requires_grad))
    digest.add("optimizer", type(task.optimizer).__qualname__)
    digest.add("groups", [_settings_of(group, settings.schedule) for group in task.optimizer.param_groups])
    digest.add("loss", _loss_as_data(task.loss))
    digest.add("schedule", None if settings.schedule is None else _schedule_as_data(settings.schedule))
    for name in ("batch_size", "shuffle", "drop_last", "clip_grad_norm"):
        digest.add(name, getattr(task, name))
    digest.add_plan(plan)
    digest.add("seed", None if settings.seed is None else task.seed)
    return digest.text()


def fingerprint_of_layers(task: LayersTask, plan: Plan) -> str:
    """Return the digest of a run that trains a layer spec, in hexadecimal; imports no torch."""
    digest = _Digest()
    for part in (task.training, task.validation):
        digest.add("data", (part.x, part.y) if part else None)
    digest.add("network", task.network.to_json())
    for name in ("output", "class_weight", "rule", "learning_rate", "batch_size", "shuffle", "drop_last", "seed"):
        digest.add(name, getattr(task, name))
    digest.add_plan(plan)
    return digest.text()


class _Digest:
    """A SHA-256 of named values; tensors and arrays count byte by byte."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add_plan(self, plan: Plan) -> None:
        for name in ("epochs", "record_every", "validate_every", "patience"):
            self.add(name, getattr(plan, name))

    def add(self, name: str, value: object) -> None:
        self._digest.update(f"|{name}=".encode())
        if isinstance(value, np.ndarray):
            self._digest.update(f"{value.dtype}{value.shape}".encode())
            self._digest.update(np.ascontiguousarray(value).data)
        elif hasattr(value, "detach"):
            self._add_tensor(value)
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                self.add(str(key), value[key])
        elif isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                self.add(str(index), item)
        else:
            self._digest.update(repr(value).encode())

    def _add_tensor(self, value: Any) -> None:
        import torch

        self._digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        # Viewed as bytes, since NumPy does not know every dtype of torch's.
        self._digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)

    def text(self) -> str:
        return self._digest.hexdigest()


def _settings_of(group: dict[str, Any], schedule: Any) -> dict[str, Any]:
    """What stays the same in a group of the optimizer: with a schedule, the first learning rate and not the current."""
    moving = _SCHEDULED if schedule is not None else {"params"}
    return {"n": len(group["params"]), **{name: value for name, value in group.items() if name not in moving}}


def _schedule_as_data(schedule: Any) -> dict[str, Any]:
    return {"class": type(schedule).__qualname__, **_without_moving(schedule.state_dict())}


def _without_moving(state: dict[str, Any]) -> dict[str, Any]:
    """Return a schedule's settings, with those of the schedules inside it."""
    fixed = {name: value for name, value in state.items() if name not in _MOVING and not callable(value)}
    if "_schedulers" in fixed:
        fixed["_schedulers"] = [_without_moving(part) for part in fixed["_schedulers"]]
    return fixed


def _loss_as_data(loss: Callable[..., Any]) -> dict[str, Any]:
    import torch

    data: dict[str, Any] = {"name": loss_name(loss)}
    if isinstance(loss, partial):
        data["fixed"] = {name: value for name, value in loss.keywords.items() if not callable(value)}
        data["positional"] = [value for value in loss.args if not callable(value)]
    if isinstance(loss, torch.nn.Module):
        data["repr"] = repr(loss)
        data["tensors"] = dict(loss.state_dict())
        data["settings"] = {n: v for n, v in vars(loss).items() if isinstance(v, (bool, int, float, str))}
    return data
