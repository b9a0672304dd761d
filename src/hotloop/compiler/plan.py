"""The plan: which loops a block becomes, between the program and machine code.

::

    plan    ::= phase+                        each begins where sums over all rows of the one before are known
    phase   ::= once kernel* row_sums reductions
    once    ::= operations without rows       single numbers, and elementwise over weights
    kernel  ::= operations over each row      looped over the features of one axis; lanes are rows
    row_sums, reductions                      sums over rows: of one number a row; of products, into gradients

Rows come in blocks, one lane each. All that is known of a block of rows lies side by side in its **frame**: the inputs,
then every value that a later loop needs, each feature one vector. So all addresses within a frame are constants, and
only the frame depends on the row::

    frame 0: | x0 x1 x2 x3 | y | h0 ... h9 | ...      each column a vector of 16 rows
    frame 1: | x0 x1 x2 x3 | y | h0 ... h9 | ...

A plan is printed by ``hotloop ir --after`` the pass that made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hotloop.program.ops import OPS
from hotloop.program.program import Block, Operation, Program, Update
from hotloop.program.types import Axis, Type

__all__ = ["BlockPlan", "Kernel", "Phase", "Plan", "Reduction", "View", "resolve_view"]


@dataclass(frozen=True)
class View:
    """Where a value's numbers really are: another value's, from one of its features on."""

    value: str
    first_feature: int = 0


@dataclass(frozen=True)
class Kernel:
    """Operations over each row, repeated for the features of one axis.

    Parameters
    ----------
    axis : Axis, optional
        The features looped over; None: one number a row.
    operations : tuple of Operation
        In order. A contraction, if any, comes first; sums over ``axis`` are known when the loop ends.
    tile : int
        Features worked on at once.
    """

    axis: Axis | None
    operations: tuple[Operation, ...]
    tile: int = 1

    @property
    def contraction(self) -> Operation | None:
        """The matrix product that the kernel starts with, if it does."""
        return self.operations[0] if self.operations[0].op == "contract" else None

    @property
    def size(self) -> int:
        """Features looped over."""
        return 1 if self.axis is None else self.axis.size or 1


@dataclass(frozen=True)
class Reduction:
    """A sum over rows: of the product of two values' features, or of one value's.

    Parameters
    ----------
    operation : Operation
        "contract" or "sum" over rows.
    beside : Operation, optional
        The sum of a contraction's first operand, which passes by anyway: the gradient of a bias.
    tile : (int, int)
        Features of the first and of the second operand whose sums are kept in registers at once; where lanes are
        features, vectors of the second.
    lanes_are_features : bool
        Lanes are the second operand's features instead of rows: nothing needs to be added up across lanes, but the
        operand is transposed first.
    """

    operation: Operation
    beside: Operation | None = None
    tile: tuple[int, int] = (1, 1)
    lanes_are_features: bool = False


@dataclass(frozen=True)
class Phase:
    """What can be done before the next sums over all rows are known."""

    once: tuple[Operation, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    row_sums: tuple[Operation, ...] = ()
    reductions: tuple[Reduction, ...] = ()


@dataclass(frozen=True)
class BlockPlan:
    """The loops of one block.

    Parameters
    ----------
    block : Block
    phases : tuple of Phase
    views : mapping of View
        Values that are other names for part of another.
    kept : frozenset of str
        Values with rows that a later loop needs from memory.
    masked : frozenset of str
        Of these, those that must be zero in lanes beyond the last row, since they are summed over rows.
    rows_at_once : int
        Blocks of rows that a kernel works on at once.
    is_chunked : bool
        Whether large batches are done in chunks of rows whose sums add up.
    places : mapping of int
        First feature of each kept value within the frame.
    transposed : mapping of int
        First vector, within the frame, of the transpose of each value that a sum over rows needs so: a vector for each
        row, of its first features, then as many of the next ones. It may be the value's own place.
    frame_features : int
        Features of a frame in all.
    """

    block: Block
    phases: tuple[Phase, ...]
    views: Mapping[str, View]
    kept: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    rows_at_once: int = 1
    is_chunked: bool = False
    places: Mapping[str, int] = field(default_factory=dict)
    transposed: Mapping[str, int] = field(default_factory=dict)
    frame_features: int = 0

    @cached_property
    def made_by(self) -> Mapping[str, Operation]:
        """The operation that makes each value."""
        return {operation.name: operation for operation in self.block.operations}

    def view(self, name: str) -> View:
        """Return where a value's numbers are."""
        return self.views.get(name) or View(name)

    def type(self, name: str) -> Type:
        """Return a value's type."""
        return self.block.types[name]

    def lines(self) -> Iterator[str]:
        """Yield the plan as text."""
        for number, phase in enumerate(self.phases):
            yield f"  phase {number}"
            yield from (f"    once: {_line(operation)}" for operation in phase.once)
            for kernel in phase.kernels:
                over = "each row" if kernel.axis is None else f"each row, {kernel.axis}, {kernel.tile} at once"
                yield f"    for {over}, {self.rows_at_once} blocks of rows at once"
                yield from (f"      {_line(operation)}{self._place(operation.name)}" for operation in kernel.operations)
            yield from (f"    over rows: {_line(operation)}" for operation in phase.row_sums)
            for reduction in phase.reductions:
                tile = " x ".join(map(str, reduction.tile)) + (" vectors" if reduction.lanes_are_features else "")
                yield f"    over rows, {tile} at once: {_line(reduction.operation)}"
                if reduction.beside is not None:
                    yield f"      beside: {_line(reduction.beside)}"

    def _place(self, name: str) -> str:
        if name not in self.kept:
            return ""
        place = f"feature {self.places[name]}" if name in self.places else "memory"
        return f"   -> {place}{', zero beyond the last row' if name in self.masked else ''}"


@dataclass(frozen=True)
class Plan:
    """The loops of a whole program.

    Parameters
    ----------
    program : Program
    step : BlockPlan
    evaluation : BlockPlan, optional
    updates : tuple of Update
    has_batches : bool
        Whether steps take batches; else each takes all rows in order.
    updates_with_sums : bool
        Weights are updated as their gradients are summed, instead of at the end of the step.
    """

    program: Program
    step: BlockPlan
    evaluation: BlockPlan | None
    updates: tuple[Update, ...]
    has_batches: bool = True
    updates_with_sums: bool = False

    def __str__(self) -> str:
        lines = ["step", *self.step.lines()]
        if self.evaluation is not None:
            lines += ["evaluation", *self.evaluation.lines()]
        for update in self.updates:
            when = ", as gradients are summed" if self.updates_with_sums else ""
            lines.append(f"update {update.name} of {', '.join(update.weights)}{when}")
            lines += [f"  {_line(operation)}" for operation in update.block.operations]
        return "\n".join(lines) + "\n"


def resolve_view(operation: Operation, views: Mapping[str, View]) -> View | None:
    """Return what an operation is another name for, or None if it computes something."""
    if operation.op not in ("rename", "cut"):
        return None
    below = views.get(operation.operands[0]) or View(operation.operands[0])
    return View(below.value, below.first_feature + (operation["start"] if operation.op == "cut" else 0))


def _line(operation: Operation) -> str:
    attributes = "".join(f" {name}={value}" for name, value in operation.attributes)
    return f"{operation.name}: {operation.type} = {operation.op}({', '.join(operation.operands)}){attributes}"


def is_elementwise(operation: Operation) -> bool:
    """Whether an operation computes each element from the same element of its operands."""
    return OPS[operation.op].kind == "elementwise"
