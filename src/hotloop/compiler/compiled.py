"""A compiled program and the memory it works on: what an engine calls. No torch."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.compiler.layout import ARGUMENTS, FACTS, Layout
from hotloop.compiler.link import Library
from hotloop.program.program import Program

__all__ = ["CompiledProgram", "Memory", "Rows", "address_of"]

Array = NDArray[Any]

_DTYPES = {"f32": np.float32, "f64": np.float64}
# Words that point into a session's own memory.
_OWN_WORDS = ("weights", "gradients", "fixed", "numbers", "sums", "frames")
# Vectors are loaded aligned to the widest there are.
_ALIGNMENT = 64


@dataclass(frozen=True, eq=False)
class _Pieces:
    """How one piece of memory is cut into arrays, each from a multiple of the widest vector on; counted in numbers."""

    sizes: Mapping[Any, int]
    starts: Mapping[Any, int]
    end: int
    dtype: np.dtype[Any]

    @cached_property
    def own_words(self) -> tuple[tuple[str, int], ...]:
        """The words of a call that point into this memory, each with the bytes before its piece."""
        return tuple((name, self.starts[name] * self.dtype.itemsize) for name in _OWN_WORDS)

    @classmethod
    def of(cls, sizes: Mapping[Any, int], dtype: np.dtype[Any]) -> _Pieces:
        """Return the pieces of these sizes, in order."""
        step, starts, end = _ALIGNMENT // dtype.itemsize, {}, 0
        for name, size in sizes.items():
            starts[name] = end
            end += -(-size // step) * step
        return cls(sizes, starts, end, dtype)

    @property
    def size_bytes(self) -> int:
        """Memory of all pieces."""
        return self.end * self.dtype.itemsize

    def take(self) -> tuple[Array, int]:
        """Return zeros for all pieces, and their address."""
        memory = np.zeros(self.end + _ALIGNMENT // self.dtype.itemsize, self.dtype)
        address = address_of(memory)
        skipped = -address % _ALIGNMENT
        return memory[skipped // self.dtype.itemsize :], address + skipped


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
    _pieces: dict[int, _Pieces] = field(init=False, default_factory=dict)
    run: Any = field(init=False)
    evaluate: Any = field(init=False)

    def __post_init__(self) -> None:
        numbers = (ctypes.c_int64 * len(FACTS)).from_address(self.linked.address("facts"))
        object.__setattr__(self, "facts", dict(zip(FACTS, numbers, strict=True)))
        object.__setattr__(self, "run", self._function("run"))
        has_evaluation = self.program.evaluation is not None
        object.__setattr__(self, "evaluate", self._function("evaluate") if has_evaluation else None)

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of one real number."""
        return np.dtype(_DTYPES[self.program.element]).itemsize

    @cached_property
    def slot_names(self) -> tuple[tuple[int, str], ...]:
        """The optimizers' slots: number of the update, and name."""
        return tuple(self.layout.slot_pointers(self.program))

    @cached_property
    def weight_places(self) -> Mapping[str, tuple[int, int]]:
        """Of each weight by name, the bytes of memory before it and its own."""
        starts, sizes, size_bytes = self.layout.weights, self.layout.sizes, self.size_bytes
        return {name: (starts[name] * size_bytes, sizes[name] * size_bytes) for name in starts}

    def pieces(self, batch_rows: int) -> _Pieces:
        """Return how memory for batches of so many rows is cut; asked for at every fit."""
        chunk_rows = self.facts["chunk_rows"] or batch_rows
        n_frames = -(-min(batch_rows, chunk_rows) // self.lanes)
        if n_frames not in self._pieces:
            self._pieces[n_frames] = self._cut(n_frames)
        return self._pieces[n_frames]

    def _cut(self, n_frames: int) -> _Pieces:
        layout, facts, dtype = self.layout, self.facts, np.dtype(_DTYPES[self.program.element])
        sizes: dict[Any, int] = {
            "weights": layout.n_weights,
            **dict.fromkeys(self.slot_names, layout.n_weights),
            "gradients": facts["n_flat"] + self.lanes,
            "fixed": layout.n_fixed,
            "numbers": facts["n_numbers"],
            "sums": facts["n_sums"] * self.lanes,
            "frames": n_frames * facts["step_frame_bytes"] // dtype.itemsize,
        }
        return _Pieces.of(sizes, dtype)

    def _function(self, name: str) -> Any:
        # CFUNCTYPE lets go of the GIL while the code runs.
        return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.linked.address(name))


@dataclass(eq=False)
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


class _Words(ctypes.Structure):
    """The words of a call, as attributes."""

    _fields_ = [(name, ctypes.c_int64) for name in ARGUMENTS]


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
    slots : dict of arrays
        By number of the update and name of the slot, each laid out like the weights.
    address : int
        Of the first weight: weights come first of all.

    Notes
    -----
    All of it is one piece of memory: where that begins is asked for once, and a copy of what lasts is one copy.
    """

    @staticmethod
    def size_bytes(compiled: CompiledProgram, batch_rows: int, n_copies: int) -> int:
        """Return what the memory for batches of so many rows will take, with copies of what lasts."""
        facts, pieces = compiled.facts, compiled.pieces(batch_rows)
        evaluation = facts["evaluation_rows_at_once"] // compiled.lanes * facts["evaluation_frame_bytes"]
        return pieces.size_bytes + n_copies * pieces.starts["gradients"] * compiled.size_bytes + evaluation

    def __init__(self, compiled: CompiledProgram, fixed: Mapping[str, Array], batch_rows: int):
        self.compiled, self._pieces = compiled, compiled.pieces(batch_rows)
        self._numbers, self.address = self._pieces.take()
        self.weights = self._piece("weights")
        self.slots = {slot: self._piece(slot) for slot in compiled.slot_names}
        if self.slots:
            starts, size_bytes = self._pieces.starts, compiled.size_bytes
            pointers = [self.address + starts[slot] * size_bytes for slot in self.slots]
            self._slot_pointers = (ctypes.c_int64 * len(pointers))(*pointers)
        # Slots come right after weights.
        self._lasting = self._numbers[: self._pieces.starts["gradients"]]
        self.put_fixed(fixed)

    def _piece(self, name: Any) -> Array:
        start = self._pieces.starts[name]
        return self._numbers[start : start + self._pieces.sizes[name]]

    def put_fixed(self, fixed: Mapping[str, Array]) -> None:
        """Set class weights and the like, by input name."""
        for name, values in fixed.items():
            place = self.compiled.layout.fixed[name]
            self._piece("fixed")[place : place + values.size] = values.reshape(-1)

    def weight(self, name: str) -> Array:
        """Return a view of one weight, flat."""
        return self.compiled.layout.part(self.weights, name)

    def slot(self, update: int, slot: str, name: str) -> Array:
        """Return a view of one weight's slot, flat."""
        return self.compiled.layout.part(self.slots[update, slot], name)

    def point_words(self, words: _Words) -> None:
        """Set the words of a call that point into this memory."""
        for name, place in self._pieces.own_words:
            setattr(words, name, self.address + place)
        if self.slots:
            words.slots = ctypes.addressof(self._slot_pointers)

    def copy(self) -> Array:
        """Return a copy of weights and slots, for ``restore``."""
        return self._lasting.copy()

    def restore(self, copied: Array) -> None:
        """Put back what :meth:`copy` returned."""
        self._lasting[:] = copied

    def arguments(self, rows: Rows, **words: int) -> Arguments:
        """Return the words of a call over these rows."""
        return Arguments(self, rows, **words)

    def evaluation_arguments(self, rows: Rows) -> Arguments:
        """Return the words of a call that evaluates these rows; they pass through frames of their own."""
        facts = self.compiled.facts
        blocks = facts["evaluation_rows_at_once"] // self.compiled.lanes
        frames, address = _Pieces.of({"frames": blocks * facts["evaluation_frame_bytes"]}, np.dtype(np.uint8)).take()
        return Arguments(self, rows, frames, frames=address)

    @property
    def gradients(self) -> Array:
        """Those of the last step, laid out like the weights, if they are kept; and what else is summed over rows."""
        return self._piece("gradients")


class Arguments:
    """One call's words; keeps alive what they point to, but for what is set later.

    Attributes
    ----------
    words : structure
        Numbers, and addresses as :func:`address_of` gives them; 0 is a null pointer.
    address : int
        Of the words themselves.
    """

    def __init__(self, memory: Memory, rows: Rows, kept: Any = None, **words: int):
        self._kept = (memory, rows, kept)
        self.words = _Words(n_rows=len(rows), x=address_of(rows.x), y=address_of(rows.y))
        if rows.weight is not None:
            self.words.row_weight = address_of(rows.weight)
        memory.point_words(self.words)
        for name, word in words.items():
            setattr(self.words, name, word)
        self.address = ctypes.addressof(self.words)


def address_of(array: Array) -> int:
    """Return where an array begins; it must be C-contiguous."""
    # NumPy's own way takes twice as long, and is needed for arrays that are empty or read-only.
    if array.size and array.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    return array.ctypes.data
