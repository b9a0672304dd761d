"""A compiled program and the memory it works on: what an engine calls. No torch."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.compiler.layout import ARGUMENTS, FACTS, Layout
from hotloop.compiler.link import Library
from hotloop.program.program import Program

__all__ = ["CompiledProgram", "Memory", "Rows"]

Array = NDArray[Any]

_DTYPES = {"f32": np.float32, "f64": np.float64}
_PLACES = {name: place for place, name in enumerate(ARGUMENTS)}
# Vectors are loaded aligned to the widest there are.
_ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """Machine code of one program.

    Parameters
    ----------
    program : Program
    layout : Layout
    lanes : int
    linked : Library
        Kept, since the code lives as long as it does.
    """

    program: Program
    layout: Layout
    lanes: int
    linked: Library
    facts: Mapping[str, int] = field(init=False)
    run: Any = field(init=False)
    evaluate: Any = field(init=False)

    def __post_init__(self) -> None:
        numbers = (ctypes.c_int64 * len(FACTS)).from_address(self.linked.address("facts"))
        object.__setattr__(self, "facts", dict(zip(FACTS, numbers, strict=True)))
        object.__setattr__(self, "run", self._function("run"))
        has_evaluation = self.program.evaluation is not None
        object.__setattr__(self, "evaluate", self._function("evaluate") if has_evaluation else None)

    @property
    def size_bytes(self) -> int:
        """Bytes of one real number."""
        return np.dtype(_DTYPES[self.program.element]).itemsize

    def _function(self, name: str) -> Any:
        # CFUNCTYPE lets go of the GIL while the code runs.
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.linked.address(name))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as compiled code takes them: C-contiguous arrays of the program's element, labels int64.

    Parameters
    ----------
    x : array of shape (rows, features)
    y : array of shape (rows,) or (rows, outputs)
    weight : array of shape (rows,), optional
    """

    x: Array
    y: Array
    weight: Array | None = None

    def __len__(self) -> int:
        return len(self.x)


class Memory:
    """The numbers that a program works on, from one step to the next.

    Parameters
    ----------
    compiled : CompiledProgram
    fixed : mapping of arrays
        Class weights and the like, by input name.
    batch_rows : int
        Rows of the largest batch; fewer are held at once if the program takes it in chunks.

    Attributes
    ----------
    weights : array
        Of all weights, laid out as ``compiled.layout`` says.
    slots : list of dict of arrays
        For each update the optimizer's slots by name, each laid out like the weights.
    """

    @staticmethod
    def size_bytes(compiled: CompiledProgram, batch_rows: int) -> int:
        """Return what the memory for batches of so many rows will take, to within a few kilobytes."""
        layout, facts = compiled.layout, compiled.facts
        n_slots = sum(len(update.slots) for update in compiled.program.updates)
        numbers = layout.n_weights * (1 + n_slots) + facts["n_flat"] + layout.n_fixed
        frames = _frames(compiled, batch_rows) * facts["step_frame_bytes"]
        evaluation = facts["evaluation_rows_at_once"] // compiled.lanes * facts["evaluation_frame_bytes"]
        return numbers * np.dtype(_DTYPES[compiled.program.element]).itemsize + frames + evaluation

    def __init__(self, compiled: CompiledProgram, fixed: Mapping[str, Array], batch_rows: int):
        self.compiled = compiled
        layout, facts, lanes = compiled.layout, compiled.facts, compiled.lanes
        self._dtype = np.dtype(_DTYPES[compiled.program.element])
        self.weights = self._array(layout.n_weights)
        self.slots: list[dict[str, Array]] = [
            {name: self._array(layout.n_weights) for name in update.slots} for update in compiled.program.updates
        ]
        pointers = [self.slots[number][name].ctypes.data for number, name in layout.slot_pointers(compiled.program)]
        self._slot_pointers = np.array(pointers, dtype=np.int64)
        self._buffers = {
            "frames": _aligned(_frames(compiled, batch_rows) * facts["step_frame_bytes"]),
            "gradients": self._array(facts["n_flat"] + lanes),
            "fixed": self._array(layout.n_fixed),
            "numbers": self._array(facts["n_numbers"]),
            "sums": self._array(facts["n_sums"] * lanes),
        }
        self.put_fixed(fixed)

    def put_fixed(self, fixed: Mapping[str, Array]) -> None:
        """Set class weights and the like, by input name."""
        for name, values in fixed.items():
            place = self.compiled.layout.fixed[name]
            self._buffers["fixed"][place : place + values.size] = values.reshape(-1)

    def weight(self, name: str) -> Array:
        """Return a view of one weight, flat."""
        return self._of(self.weights, name)

    def slot(self, update: int, slot: str, name: str) -> Array:
        """Return a view of one weight's slot, flat."""
        return self._of(self.slots[update][slot], name)

    def _of(self, values: Array, name: str) -> Array:
        layout = self.compiled.layout
        place = layout.weights[name]
        return values[place : place + layout.sizes[name]]

    def copy(self) -> list[Array]:
        """Return copies of weights and slots, for ``restore``."""
        return [values.copy() for values in self._lasting()]

    def restore(self, copies: list[Array]) -> None:
        """Put back what :meth:`copy` returned."""
        for values, copied in zip(self._lasting(), copies, strict=True):
            values[:] = copied

    def _lasting(self) -> list[Array]:
        return [self.weights, *(values for slots in self.slots for values in slots.values())]

    def arguments(self, rows: Rows, **words: int) -> Arguments:
        """Return the words of a call over these rows."""
        return Arguments(self, rows, words)

    def evaluation_arguments(self, rows: Rows) -> Arguments:
        """Return the words of a call that evaluates these rows; they pass through frames of their own."""
        facts = self.compiled.facts
        blocks = facts["evaluation_rows_at_once"] // self.compiled.lanes
        call = self.arguments(rows)
        call.set(frames=_aligned(blocks * facts["evaluation_frame_bytes"]))
        return call

    def _array(self, size: int) -> Array:
        return _aligned(size * self._dtype.itemsize).view(self._dtype)


class Arguments:
    """One call's words; keeps alive what they point to."""

    def __init__(self, memory: Memory, rows: Rows, words: Mapping[str, int]):
        self._words = np.zeros(len(ARGUMENTS), dtype=np.int64)
        self._kept: dict[str, Any] = {"memory": memory, "rows": rows}
        weight = rows.weight
        self.set(
            x=rows.x,
            y=rows.y,
            n_rows=len(rows),
            weights=memory.weights,
            slots=memory._slot_pointers,
            **memory._buffers,
            **words,
        )
        if weight is not None:
            self.set(row_weight=weight)
        self.address = self._words.ctypes.data

    def set(self, **values: Array | int | None) -> None:
        """Set words: numbers as they are, arrays by their address, None as a null pointer."""
        for name, value in values.items():
            self._kept[name] = value
            word = 0 if value is None else value if isinstance(value, int) else value.ctypes.data
            self._words[_PLACES[name]] = word


def _frames(compiled: CompiledProgram, batch_rows: int) -> int:
    """Return the frames that are held at once."""
    return -(-min(batch_rows, compiled.facts["chunk_rows"] or batch_rows) // compiled.lanes)


def _aligned(n_bytes: int) -> NDArray[np.uint8]:
    """Return zeros that begin at a multiple of the widest vector."""
    memory = np.zeros(n_bytes + _ALIGNMENT, dtype=np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + n_bytes]
