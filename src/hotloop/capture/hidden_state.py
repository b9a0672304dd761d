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
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator, torch.Generator)
_OPAQUE = (type, FunctionType, MethodType, ModuleType, str, bytes, int, float, complex, type(None), StandIn)


class HiddenState:
    """All that can be reached from a model, to be compared with later.

    Objects by identity, in the order in which a walk in breadth meets them; arrays and tensors by what they hold too.
    """

    def __init__(self, model: torch.nn.Module):
        self._values: list[Any] = [model]
        self._names: list[tuple[int, Any]] = [(0, "")]
        self._contents: dict[int, Any] = {}
        self._draws: int | None = None
        seen: set[int] = set()
        # Grows while it is walked.
        for place, value in enumerate(self._values):
            if isinstance(value, _OPAQUE) or id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, (np.ndarray, torch.Tensor)):
                self._contents[place] = value.tobytes() if isinstance(value, np.ndarray) else value._version
            elif isinstance(value, _GENERATORS) or hasattr(type(value), "__next__"):
                self._draws = place
            for name, item in _parts(value):
                self._names.append((place, name))
                self._values.append(item)

    def first_change(self, model: torch.nn.Module) -> str | None:
        """Return the name of what changed, or of what may change unseen; None if nothing did."""
        if self._draws is not None:
            return f"what its attribute '{self._path(self._draws)}' gives next"
        after = HiddenState(model)
        for place, (old, new) in enumerate(zip(self._values, after._values, strict=False)):
            same = old is new and self._names[place] == after._names[place]
            if not same or self._contents.get(place) != after._contents.get(place):
                return f"its attribute '{after._path(place)}'"
        if len(self._values) != len(after._values):
            longer = max(self, after, key=lambda state: len(state._values))
            return f"its attribute '{longer._path(min(len(self._values), len(after._values)))}'"
        return None

    def _path(self, place: int) -> str:
        names: list[str] = []
        while place:
            place, name = self._names[place]
            names.insert(0, str(name))
        return _TABLE.sub("", ".".join(names))


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from list(value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from enumerate(value)
    elif hasattr(value, "__dict__"):
        yield from list(vars(value).items())


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
