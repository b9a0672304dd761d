"""Where numbers lie in memory: what compiled code and its caller agree on.

::

    weights    | group 0 ... pad | group 1 ... pad | frozen ... pad |     padded to whole vectors; slots lie alike
    gradients  | the same places                   | other sums over rows that weights share |
    frames     | block 0 of rows | block 1 | ...
    fixed      class weights and the like
    numbers    single numbers of a step            sums: one vector for each sum over rows

A call passes one array of 64-bit words, :data:`ARGUMENTS`: pointers and counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from hotloop.program.program import Block, Input, Program

__all__ = ["ARGUMENTS", "FACTS", "Layout", "StepPlaces", "argument", "padded"]

ARGUMENTS = (
    "x",
    "y",
    "row_weight",
    "n_rows",
    "batch_size",
    "steps_per_epoch",
    "step_of_epoch",
    "n_steps",
    "n_gathered",
    "keys",
    "side",
    "frames",
    "weights",
    "gradients",
    "fixed",
    "numbers",
    "sums",
    "scalars",
    "scalars_stride",
    "losses",
    "slots",
)
"""Words of a call, in order.

The first ``n_gathered`` steps gather their rows, later ones find them laid out; "slots" is a pointer to one pointer for
each slot of each update.
"""


FACTS = (
    "step_frame_bytes",
    "chunk_rows",
    "n_flat",
    "n_numbers",
    "n_sums",
    "evaluation_frame_bytes",
    "evaluation_rows_at_once",
)
"""64-bit numbers that the compiled code says of itself, in the constant ``facts``; no ``chunk_rows``: 0."""


def argument(name: str) -> int:
    """Return the offset of an argument in bytes."""
    return 8 * ARGUMENTS.index(name)


@dataclass(frozen=True)
class Layout:
    """Places, counted in numbers, of everything that outlives a step.

    Parameters
    ----------
    weights, sizes : mapping of int
        First place of each weight, and how many it takes; the sizes in the order of the program's weights.
    groups : tuple of (int, int)
        First place and end, padded, of each update's weights.
    n_weights : int
        Places of weights in all.
    fixed : mapping of int
    n_fixed : int
    scalars : tuple of int
        First place of each update's scalars within those of a step.
    n_scalars : int
    """

    weights: Mapping[str, int]
    sizes: Mapping[str, int]
    groups: tuple[tuple[int, int], ...]
    n_weights: int
    fixed: Mapping[str, int]
    n_fixed: int
    scalars: tuple[int, ...]
    n_scalars: int

    @classmethod
    def of(cls, program: Program, lanes: int) -> Layout:
        """Return the layout of a program for vectors of so many lanes."""
        sizes = {item.name: item.type.n_features for item in program.weights}
        weights: dict[str, int] = {}
        groups = []
        place = 0
        for update in program.updates:
            start = place
            for name in update.weights:
                weights[name] = place
                place += sizes[name]
            place = padded(place, lanes)
            groups.append((start, place))
        for name in sizes:
            if name not in weights:
                weights[name] = place
                place += sizes[name]
        fixed, n_fixed = _places(program.step.inputs_of("fixed"))
        scalars, n_scalars = [], 0
        for update in program.updates:
            scalars.append(n_scalars)
            n_scalars += len(update.scalars)
        return cls(weights, sizes, tuple(groups), padded(place, lanes), fixed, n_fixed, tuple(scalars), n_scalars)

    def part(self, values: NDArray[Any], name: str) -> NDArray[Any]:
        """Return a view of one weight's part of an array that is laid out like the weights."""
        place = self.weights[name]
        return values[place : place + self.sizes[name]]

    def slot_pointers(self, program: Program) -> Iterator[tuple[int, str]]:
        """Yield update and slot in the order of their pointers."""
        for number, update in enumerate(program.updates):
            for slot in update.slots:
                yield number, slot


@dataclass(frozen=True)
class StepPlaces:
    """Places, counted in numbers or vectors, of what is known within one step only.

    Parameters
    ----------
    flat : mapping of tuple of int
        Places in the gradients of each value that has features but no rows; several where weights share it.
    n_flat : int
    numbers : mapping of int
        Place of each single number.
    sums : mapping of int
        Vector of each sum over rows.
    """

    flat: Mapping[str, tuple[int, ...]]
    n_flat: int
    numbers: Mapping[str, int]
    sums: Mapping[str, int]

    @classmethod
    def of(cls, block: Block, layout: Layout, lanes: int) -> StepPlaces:
        """Return the places of a block's values."""
        flat: dict[str, tuple[int, ...]] = {}
        for meaning, value in block.outputs:
            if meaning.startswith("gradient of "):
                place = layout.weights[meaning.removeprefix("gradient of ")]
                flat[value] = (*flat.get(value, ()), place)
        end = layout.n_weights
        numbers: dict[str, int] = {}
        sums: dict[str, int] = {}
        for operation in block.operations:
            if operation.type.has_rows or operation.op in ("constant", "index"):
                continue
            if not operation.type.axes:
                numbers[operation.name] = len(numbers)
                if any(block.types[name].has_rows for name in operation.operands):
                    sums[operation.name] = len(sums)
            elif operation.name not in flat:
                flat[operation.name] = (end,)
                end += padded(operation.type.n_features, lanes)
        return cls(flat, end, numbers, sums)


def _places(inputs: tuple[Input, ...]) -> tuple[dict[str, int], int]:
    places, end = {}, 0
    for item in inputs:
        places[item.name] = end
        end += item.type.n_features
    return places, end


def padded(count: int, lanes: int) -> int:
    """Return a count of numbers rounded up to whole vectors."""
    return -(-count // lanes) * lanes
