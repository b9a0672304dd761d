"""torch's optimizers -> the rules of ``program/optimizers.py``, and what they keep for each weight, both ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hotloop.capture.refusal import NotCaptured
from hotloop.capture.supported import OPTIMIZERS
from hotloop.program.optimizers import Adam, OptimizerRule, Sgd

if TYPE_CHECKING:
    import torch

__all__ = ["CapturedGroup", "read_groups", "read_rule_again", "read_slots", "write_slots"]

# Where torch counts in float32, it stops here: adding 1 no longer changes the number.
_LAST_FLOAT32_STEP = 1 << 24


@dataclass(eq=False)
class CapturedGroup:
    """Parameters that one update of the program changes.

    Parameters
    ----------
    rule : OptimizerRule
    group_index : int
        In ``optimizer.param_groups``.
    parameters : tuple of torch.nn.Parameter
        In the order of the update's weights.
    first_step : int
        Updates that the optimizer has done before; for SGD with momentum 1 where a buffer exists, else 0.
    """

    rule: OptimizerRule
    group_index: int
    parameters: tuple[torch.nn.Parameter, ...]
    first_step: int


def read_groups(optimizer: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter]) -> list[CapturedGroup]:
    """Return the updates of the parameters that the loss depends on and the optimizer changes.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    parameters : sequence of torch.nn.Parameter
        Those that the loss depends on; frozen ones among them are left alone.

    Returns
    -------
    list of CapturedGroup
        Parameters of one group that have seen different numbers of updates become several.

    Raises
    ------
    NotCaptured
        If the optimizer, or one of its settings, is not covered.
    """
    read_rule = _reader(optimizer)
    changed = {id(parameter) for parameter in parameters if parameter.requires_grad}
    groups = []
    for index, group in enumerate(optimizer.param_groups):
        own = [parameter for parameter in group["params"] if id(parameter) in changed]
        if not own:
            continue
        where = f"{_name(optimizer)}, group {index}"
        rule = read_rule(where, group)
        if type(rule) is Adam and _is_coarse(group["lr"], own[0]):
            raise NotCaptured(
                where, "lr is a float32 tensor, and torch rounds the steps of a float64 model", "use a float"
            )
        by_step: dict[int, list[torch.nn.Parameter]] = {}
        if rule.slots:
            for parameter in own:
                by_step.setdefault(_steps_done(optimizer, rule, parameter), []).append(parameter)
        else:
            by_step[0] = own
        groups += [CapturedGroup(rule, index, tuple(those), step) for step, those in by_step.items()]
    return groups


def read_rule_again(optimizer: torch.optim.Optimizer, group: CapturedGroup) -> OptimizerRule:
    """Return a group's rule with the optimizer's settings as they are now.

    Raises
    ------
    NotCaptured
        If they now ask for another program.
    """
    where = f"{_name(optimizer)}, group {group.group_index}"
    rule = _reader(optimizer)(where, optimizer.param_groups[group.group_index])
    if rule.canonical != group.rule.canonical:
        raise NotCaptured(where, "its settings changed during training into other computations")
    return rule


def read_slots(optimizer: torch.optim.Optimizer, group: CapturedGroup) -> dict[str, NDArray[Any]]:
    """Return what the optimizer keeps for a group's parameters: for each slot one array, end to end; zeros at first."""
    slots = {}
    for slot in group.rule.slots:
        kept = [_kept(optimizer, slot, parameter) for parameter in group.parameters]
        slots[slot] = np.concatenate([array.reshape(-1) for array in kept])
    return slots


def write_slots(
    optimizer: torch.optim.Optimizer, group: CapturedGroup, slots: Mapping[str, NDArray[Any]], steps_done: int
) -> None:
    """Leave the optimizer as if it had done the steps itself, but for the parameters.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    group : CapturedGroup
    slots : mapping of arrays
        As :func:`read_slots` returns them, after the steps.
    steps_done : int
        Updates since the optimizer was captured.
    """
    import torch

    if not group.rule.slots:
        return
    if group.first_step + steps_done == 0:
        # Training has gone back to before the first update.
        for parameter in group.parameters:
            optimizer.state.pop(parameter, None)
        return
    place = 0
    for parameter in group.parameters:
        state, part = optimizer.state[parameter], slice(place, place + parameter.numel())
        place += parameter.numel()
        if isinstance(group.rule, Adam):
            _write_step(optimizer.param_groups[group.group_index], parameter, state, group.first_step + steps_done)
        for slot in group.rule.slots:
            if state.get(slot) is None:
                state[slot] = torch.zeros_like(parameter, memory_format=torch.preserve_format, requires_grad=False)
            with torch.no_grad():
                state[slot].copy_(torch.tensor(slots[slot][part]).view(parameter.shape))


def _write_step(group: dict[str, Any], parameter: torch.nn.Parameter, state: dict[str, Any], step: int) -> None:
    import torch

    if "step" not in state:
        on_device = group["capturable"] or group["fused"]
        double = torch.get_default_dtype() == torch.float64 and not group["fused"]
        dtype = torch.float64 if double else torch.float32
        state["step"] = torch.zeros((), dtype=dtype, device=parameter.device if on_device else "cpu")
    if state["step"].dtype == torch.float32:
        step = min(step, _LAST_FLOAT32_STEP)
    state["step"].fill_(step)


def _kept(optimizer: torch.optim.Optimizer, slot: str, parameter: torch.nn.Parameter) -> NDArray[Any]:
    import torch

    kept = optimizer.state.get(parameter, {}).get(slot)
    tensor = torch.zeros_like(parameter) if kept is None else kept
    array: NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
    return array


def _steps_done(optimizer: torch.optim.Optimizer, rule: OptimizerRule, parameter: torch.nn.Parameter) -> int:
    """How many updates of a parameter the optimizer has done, as far as that matters to a rule with slots."""
    state = optimizer.state.get(parameter, {})
    if not state or (isinstance(rule, Sgd) and state.get("momentum_buffer") is None):
        return 0
    where = f"{_name(optimizer)}'s state"
    for slot in rule.slots:
        kept = state.get(slot)
        if kept is None:
            raise NotCaptured(where, f"it has no {slot}", "start with a new optimizer")
        if kept.shape != parameter.shape or kept.dtype != parameter.dtype:
            raise NotCaptured(where, f"its {slot} does not fit the parameter", "start with a new optimizer")
    return 1 if isinstance(rule, Sgd) else int(state["step"])


def _is_coarse(lr: Any, parameter: torch.nn.Parameter) -> bool:
    """Whether torch computes step sizes with fewer digits than the parameters have."""
    return not isinstance(lr, (int, float)) and lr.dtype != parameter.dtype and parameter.element_size() == 8


# Fits of one kind share a rule, which knows its canonical form.
_sgd_rule, _adam_rule = lru_cache(maxsize=64)(Sgd), lru_cache(maxsize=64)(Adam)

_Reader = Callable[[str, Mapping[str, Any]], OptimizerRule]


def _reader(optimizer: torch.optim.Optimizer) -> _Reader:
    """Return what reads the groups of an optimizer, once it is sure that the optimizer does nothing else."""
    readers = _readers()
    read = readers.get(type(optimizer))
    name = _name(optimizer)
    if read is None:
        known = ", ".join(row.name for row in OPTIMIZERS)
        why = "a subclass may do more" if isinstance(optimizer, tuple(readers)) else "there is no rule for it"
        raise NotCaptured(name, why, f"use one of torch.optim's own {known}")
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks or any(_hooks_of_all()):
        raise NotCaptured(name, "hooks run at each of its steps", "remove them")
    own = vars(optimizer)
    # A learning-rate scheduler replaces ``step`` by one that counts, and calls the same function.
    step = own.get("step")
    counted = hasattr(step, "_wrapped_by_lr_sched") and getattr(step, "__wrapped__", None) is type(optimizer).step
    if "zero_grad" in own or (step is not None and not counted):
        raise NotCaptured(name, "its step or zero_grad has been replaced", "use it as torch made it")
    if own.get("grad_scale") is not None or own.get("found_inf") is not None:
        raise NotCaptured(name, "a GradScaler scales its gradients", "train without one")
    return read


@cache
def _hooks_of_all() -> tuple[Mapping[int, Any], ...]:
    """The tables in which torch keeps hooks of all optimizers."""
    from torch.optim import optimizer

    return optimizer._global_optimizer_pre_hooks, optimizer._global_optimizer_post_hooks


@cache
def _readers() -> Mapping[type, _Reader]:
    import torch

    return {torch.optim.SGD: _sgd, torch.optim.Adam: _adam, torch.optim.AdamW: _adam}


def _sgd(where: str, group: Mapping[str, Any]) -> Sgd:
    _check_flags(where, group)
    return _sgd_rule(
        _number(where, "momentum", group["momentum"]),
        _number(where, "dampening", group["dampening"]),
        _number(where, "weight_decay", group["weight_decay"]),
        bool(group["nesterov"]),
        bool(group["maximize"]),
    )


def _adam(where: str, group: Mapping[str, Any]) -> Adam:
    _check_flags(where, group)
    beta1, beta2 = group["betas"]
    return _adam_rule(
        betas=(_number(where, "betas", beta1), _number(where, "betas", beta2)),
        eps=_number(where, "eps", group["eps"]),
        weight_decay=_number(where, "weight_decay", group["weight_decay"]),
        amsgrad=bool(group["amsgrad"]),
        maximize=bool(group["maximize"]),
        decoupled=bool(group["decoupled_weight_decay"]),
    )


def _check_flags(where: str, group: Mapping[str, Any]) -> None:
    if group.get("differentiable"):
        raise NotCaptured(where, "differentiable=True keeps the graph of every step", "use differentiable=False")


def _number(where: str, name: str, value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise NotCaptured(where, f"{name} is {value!r}, not a plain number", "use a float")
    return float(value)


def _name(optimizer: torch.optim.Optimizer) -> str:
    return f"the optimizer {type(optimizer).__name__}"
