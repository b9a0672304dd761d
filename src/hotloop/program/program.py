"""The program: what one training step computes, and how weights change.

::

    program ::= step evaluation? update*
    step    ::= inputs operations outputs      loss and gradients from a batch of rows and the weights
    evaluation ::= inputs operations outputs   the loss of rows that are not trained on
    update  ::= inputs operations outputs      one optimizer group: each weight, its gradient and its slots -> new ones

A block is straight-line code in single assignment: each value has one name, one type, and is computed once. The loop
around it (epochs, batches, which rows) is the same for every program and therefore not written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hotloop.program.types import Type

__all__ = ["Block", "Input", "Operation", "Program", "Update"]


@dataclass(frozen=True)
class Input:
    """A value that a block is given.

    Parameters
    ----------
    name : str
    type : Type
    role : str
        "data": rows of the batch; "weight": trained or frozen; "fixed": numbers that never change, such as class
        weights; "gradient", "slot": of the weights that an update changes; "scalar": known before the step, such as
        the learning rate.
    """

    name: str
    type: Type
    role: str


@dataclass(frozen=True)
class Operation:
    """One value computed from others.

    Parameters
    ----------
    name : str
        Of the result.
    type : Type
        Of the result.
    op : str
        A name in ``ops.OPS``.
    operands : tuple of str
    attributes : tuple of (str, value)
    """

    name: str
    type: Type
    op: str
    operands: tuple[str, ...]
    attributes: tuple[tuple[str, Any], ...] = ()

    def __getitem__(self, attribute: str) -> Any:
        return dict(self.attributes)[attribute]


@dataclass(frozen=True)
class Block:
    """Operations in an order in which each comes after its operands.

    Parameters
    ----------
    inputs : tuple of Input
    operations : tuple of Operation
    outputs : tuple of (str, str)
        Meaning and value: ("loss", "mean.3"), ("gradient of w0", "contract.7").
    """

    inputs: tuple[Input, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[tuple[str, str], ...]

    @cached_property
    def types(self) -> Mapping[str, Type]:
        """Type of each value."""
        return {
            **{item.name: item.type for item in self.inputs},
            **{operation.name: operation.type for operation in self.operations},
        }

    @cached_property
    def users(self) -> Mapping[str, tuple[Operation, ...]]:
        """The operations that take each value."""
        users: dict[str, list[Operation]] = {name: [] for name in self.types}
        for operation in self.operations:
            for operand in dict.fromkeys(operation.operands):
                users[operand].append(operation)
        return {name: tuple(those) for name, those in users.items()}

    def inputs_of(self, role: str) -> tuple[Input, ...]:
        """Return the inputs of one role."""
        return tuple(item for item in self.inputs if item.role == role)

    def output(self, meaning: str) -> str:
        """Return the value that is the output of this meaning."""
        return dict(self.outputs)[meaning]


@dataclass(frozen=True)
class Update:
    """How one group of weights changes after each step; elementwise, the same for each weight.

    Parameters
    ----------
    name : str
        The optimizer's rule, such as "sgd".
    weights : tuple of str
        Weights of the step that this update changes.
    block : Block
        From "weight", "gradient", the slots, scalars and, where gradients are clipped, "clip", to new "weight" and
        slots.
    """

    name: str
    weights: tuple[str, ...]
    block: Block

    @property
    def slots(self) -> tuple[str, ...]:
        """Numbers that the optimizer keeps for each weight."""
        return tuple(item.name for item in self.block.inputs_of("slot"))

    @property
    def scalars(self) -> tuple[str, ...]:
        """Numbers given anew for each step."""
        return tuple(item.name for item in self.block.inputs_of("scalar"))


@dataclass(frozen=True)
class Program:
    """A whole training run of one network; prints as its text form."""

    step: Block
    updates: tuple[Update, ...]
    evaluation: Block | None = None
    # Computed once, since caches are asked with it at every fit.
    _text: list[str] = field(default_factory=list, repr=False, compare=False)

    @cached_property
    def weights(self) -> tuple[Input, ...]:
        """Trained and frozen weights."""
        return self.step.inputs_of("weight")

    @cached_property
    def weight_names(self) -> tuple[str, ...]:
        """The names of the inputs in :attr:`weights`."""
        return tuple(item.name for item in self.weights)

    @cached_property
    def element(self) -> str:
        """The element of all real numbers: "f32" or "f64"."""
        return self.step.types[self.step.output("loss")].element

    @property
    def blocks(self) -> Iterator[tuple[str, Block]]:
        """Every block with its title."""
        yield "step", self.step
        if self.evaluation is not None:
            yield "evaluation", self.evaluation
        for number, update in enumerate(self.updates):
            yield f"update {number}", update.block

    @property
    def text(self) -> str:
        """The text form."""
        if not self._text:
            from hotloop.program.text import print_program

            self._text.append(print_program(self))
        return self._text[0]

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text
