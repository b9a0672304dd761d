"""Trying a model out and leaving it as it was."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import OrderedDict
from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.engines.torch_state import generators, restore_generators

if TYPE_CHECKING:
    import torch

__all__ = ["ONE_AT_A_TIME", "can_be_preserved", "preserved"]

ONE_AT_A_TIME = threading.RLock()
"""Held by whatever changes a model for a while: two threads that do would put back each other's changes."""

_HOLDERS = (dict, OrderedDict, list, set)


@contextlib.contextmanager
def preserved(model: torch.nn.Module) -> Iterator[None]:
    """Put back, when the block is left, what calls of a model change in it.

    These are the numbers in parameters, buffers and gradients; the attributes of its modules, their training modes and
    registered hooks among them, and what is in dictionaries, lists and sets that are such attributes; and the random
    generators of torch, NumPy and Python. What the model's own code does elsewhere stays: lines printed, files written,
    numbers appended to a list of the caller's.

    Notes
    -----
    Takes a copy of all parameters, buffers and gradients. Only tensors that were changed are written back.
    """
    import torch

    with ONE_AT_A_TIME:
        random_numbers = _Generators(model)
        modules = [_Attributes(module) for module in model.modules()]
        tensors = [_Numbers(tensor) for tensor in _tensors(model) if tensor.layout is torch.strided]
        gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
        try:
            yield
        finally:
            for module in modules:
                module.put_back()
            for parameter, gradient in gradients:
                if parameter.grad is not gradient:
                    parameter.grad = gradient
            for tensor in tensors:
                tensor.put_back()
            random_numbers.put_back()


def can_be_preserved(model: torch.nn.Module) -> bool:
    """Whether all parameters and buffers exist; those of lazy modules are made by the first call."""
    from torch.nn.parameter import is_lazy

    return not any(is_lazy(tensor) for tensor in _tensors(model))


def _tensors(model: torch.nn.Module) -> list[torch.Tensor]:
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [tensor for tensor in (*model.parameters(), *model.buffers(), *gradients) if not tensor.is_meta]


class _Attributes:
    """What an instance of a module holds: its attributes, and what is in those that are dictionaries, lists or sets."""

    def __init__(self, module: torch.nn.Module):
        self._module = module
        self._own = dict(module.__dict__)
        self._held = [(held, copy(held)) for held in self._own.values() if type(held) in _HOLDERS]

    def put_back(self) -> None:
        own = self._module.__dict__
        for name in own.keys() - self._own.keys():
            del own[name]
        for name, value in self._own.items():
            if own.get(name, self) is not value:
                own[name] = value
        for held, former in self._held:
            if _contents(held) != _contents(former):
                _refill(held, former)


def _contents(held: Any) -> list[Any]:
    """Return what tells one holder from another, by identity: what is held may not be comparable."""
    items = held.items() if isinstance(held, dict) else enumerate(held)
    return [(key if isinstance(held, dict | list) else id(value), id(value)) for key, value in items]


def _refill(held: Any, former: Any) -> None:
    held.clear()
    if isinstance(held, list):
        held.extend(former)
    else:
        held.update(former)


class _Numbers:
    """A tensor and a copy of what is in it."""

    def __init__(self, tensor: torch.Tensor):
        self._tensor, self._copy = tensor, tensor.detach().clone()

    def put_back(self) -> None:
        # Written through .data: graphs that a person holds must not take it for a change.
        if self._tensor.shape != self._copy.shape:
            self._tensor.data = self._copy
        elif not _equal(self._tensor.detach(), self._copy):
            self._tensor.data.copy_(self._copy)


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors hold the same numbers, NaN in the same places included."""
    return bool(((one == other) | ((one != one) & (other != other))).all())


class _Generators:
    """The random generators that a model may draw from."""

    def __init__(self, model: torch.nn.Module):
        kinds = {parameter.device.type for parameter in model.parameters()} - {"meta"}
        self._torch = {name: state for kind in kinds | {"cpu"} for name, state in generators(kind).items()}
        self._python = random.getstate()
        self._numpy = np.random.get_state()

    def put_back(self) -> None:
        restore_generators(self._torch)
        random.setstate(self._python)
        np.random.set_state(self._numpy)
