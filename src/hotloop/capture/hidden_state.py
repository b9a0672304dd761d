"""What a forward could change or draw besides computing its result.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch

from hotloop.capture.stand_ins import StandIn

__all__ = ["GeneratorStates", "HiddenState"]

# The tables of torch.nn.Module are no part of how people call what is in them.
_TABLE = re.compile(r"_(modules|parameters|buffers)\.")
_OPAQUE = (type, FunctionType, MethodType, ModuleType, str, bytes, int, float, complex, type(None), StandIn)


class HiddenState:
    """All that a model's attributes hold, to be compared with later."""

    def __init__(self, model: torch.nn.Module):
        self._before = _contents(model)

    def first_change(self, model: torch.nn.Module) -> str | None:
        """Return the name of what changed, or of what may change unseen; None if nothing did."""
        after = _contents(model)
        for path in {**self._before, **after}:
            old, new = self._before.get(path), after.get(path)
            if old is None or new is None or old[0] is not new[0] or old[1] != new[1]:
                return f"its attribute '{_TABLE.sub('', path)}'"
            if _draws(new[0]):
                return f"what its attribute '{_TABLE.sub('', path)}' gives next"
        return None


def _contents(model: torch.nn.Module) -> dict[str, tuple[Any, Any]]:
    """Every object reachable from a model, by path, with what shows a change within it."""
    found: dict[str, tuple[Any, Any]] = {}
    seen: set[int] = set()

    def visit(path: str, value: Any) -> None:
        found[path] = value, _fingerprint(value)
        if id(value) in seen or isinstance(value, _OPAQUE):
            return
        seen.add(id(value))
        for name, item in _parts(value):
            visit(f"{path}.{name}" if path else str(name), item)

    visit("", model)
    return found


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from list(value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from enumerate(value)
    elif hasattr(value, "__dict__"):
        yield from list(vars(value).items())


def _fingerprint(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return value._version if type(value) is torch.Tensor else None


def _draws(value: Any) -> bool:
    generators = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator, torch.Generator)
    return isinstance(value, generators) or hasattr(type(value), "__next__")


class GeneratorStates:
    """The global random generators of Python and NumPy; torch's cannot be drawn from unseen."""

    def __init__(self) -> None:
        self._python, self._numpy = random.getstate(), np.random.get_state()

    def changed(self) -> bool:
        """Whether they have been drawn from since."""
        return self.differs(GeneratorStates())

    def differs(self, other: GeneratorStates) -> bool:
        """Whether they have been drawn from between the two."""
        pairs = zip(self._numpy, other._numpy, strict=True)
        return self._python != other._python or not all(np.array_equal(one, two) for one, two in pairs)

    def restore(self) -> None:
        """Put them back."""
        random.setstate(self._python)
        np.random.set_state(self._numpy)
