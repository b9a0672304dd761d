"""What a training task changes in torch: copied, moved between devices, put back."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hotloop.capture import arrays_of, from_module
from hotloop.program.network import Network

if TYPE_CHECKING:
    import torch

    from hotloop.engines.task import Task

__all__ = ["clone", "generators", "is_finite", "learned", "loss_on", "move", "restore_generators"]


def clone(value: Any) -> Any:
    """Return a copy of a ``state_dict`` or part of one; tensors in it are copied, detached."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        # MultiStepLR keeps a Counter, and a dict in its place would not do.
        copied = copy.copy(value)
        for key, item in value.items():
            copied[key] = clone(item)
        return copied
    if isinstance(value, (list, tuple)):
        return type(value)(clone(item) for item in value)
    return value


def move(task: Task, device: str | torch.device) -> None:
    """Put model, loss and the optimizer's state on a device; parameters stay the same objects."""
    import torch

    if isinstance(task.loss, torch.nn.Module):
        task.loss.to(device)
    if all(tensor.device == torch.device(device) for tensor in task.model.parameters()):
        return
    task.model.to(device)
    # Loading its own state makes the optimizer cast each tensor to where its parameter is now.
    task.optimizer.load_state_dict(task.optimizer.state_dict())


def learned(model: torch.nn.Module) -> tuple[Network | None, dict[str, Any]]:
    """Return a model as a layer spec with arrays by name, or, where it is more than that, None and its state dict."""
    network = from_module(model)
    if network is not None:
        return network, arrays_of(network, model)
    weights = clone(model.state_dict())
    return None, {name: value.cpu() if hasattr(value, "cpu") else value for name, value in weights.items()}


def loss_on(loss: Callable[..., Any], device: str) -> Callable[..., Any]:
    """Return a loss function that works on a device; tensors that a partial has fixed are copied there."""
    import torch

    if not isinstance(loss, partial):
        return loss
    fixed = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in loss.keywords.items()}
    return partial(loss.func, *loss.args, **fixed)


def is_finite(value: Any) -> bool:
    """Whether all of a tensor is finite; whole numbers, and what is no tensor at all, always are."""
    import torch

    return not (isinstance(value, torch.Tensor) and value.is_floating_point()) or bool(value.isfinite().all())


def generators(device: str) -> dict[str, torch.Tensor]:
    """Return the states of torch's random generators that a model on ``device`` may draw from."""
    import torch

    states = {"cpu": torch.get_rng_state()}
    kind = torch.device(device).type
    if kind != "cpu":
        states[kind] = getattr(torch, kind).get_rng_state()
    return states


def restore_generators(states: dict[str, torch.Tensor]) -> None:
    """Put the generators back to the given states."""
    import torch

    for kind, state in states.items():
        module = torch if kind == "cpu" else getattr(torch, kind)
        module.set_rng_state(state.cpu())
