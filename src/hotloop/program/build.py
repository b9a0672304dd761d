"""Writing programs: arithmetic on values appends operations.

::

    block = BlockBuilder("f32")
    x = block.input("x", Type("f32", (ROWS, Axis("features", 4))), "data")
    y = tanh(x * 2.0)
    block.output("result", y)
    block.finish()
"""

from __future__ import annotations

from typing import Any

from hotloop.program.ops import OPS, TypeMismatch
from hotloop.program.program import Block, Input, Operation
from hotloop.program.types import ROWS, Axis, Type

__all__ = ["BlockBuilder", "Value", "apply", "mean_over_features", "over_rows"]


class Value:
    """A value of a block under construction; arithmetic with numbers and other values makes new ones."""

    __slots__ = ("block", "name", "type")

    def __init__(self, block: BlockBuilder, name: str, type_: Type):
        self.block, self.name, self.type = block, name, type_

    def __add__(self, other: Value | float) -> Value:
        return apply("add", self, other)

    def __radd__(self, other: Value | float) -> Value:
        return apply("add", other, self)

    def __sub__(self, other: Value | float) -> Value:
        return apply("sub", self, other)

    def __rsub__(self, other: Value | float) -> Value:
        return apply("sub", other, self)

    def __mul__(self, other: Value | float) -> Value:
        return apply("mul", self, other)

    def __rmul__(self, other: Value | float) -> Value:
        return apply("mul", other, self)

    def __truediv__(self, other: Value | float) -> Value:
        return apply("div", self, other)

    def __rtruediv__(self, other: Value | float) -> Value:
        return apply("div", other, self)

    def __neg__(self) -> Value:
        return apply("neg", self)

    def sum(self, over: str) -> Value:
        """Return the sum over an axis."""
        return apply("sum", self, over=over)

    def __repr__(self) -> str:
        return f"{self.name}: {self.type}"


class BlockBuilder:
    """Collects inputs, operations and outputs; ``finish`` makes a Block of them.

    Parameters
    ----------
    element : str
        Of all real numbers: "f32" or "f64".
    """

    def __init__(self, element: str):
        self.element = element
        self._inputs: list[Input] = []
        self._operations: list[Operation] = []
        self._outputs: list[tuple[str, str]] = []
        self._counts: dict[str, int] = {}
        self._constants: dict[float, Value] = {}
        self._values: dict[str, Value] = {}

    def input(self, name: str, type_: Type, role: str) -> Value:
        """Add an input."""
        self._inputs.append(Input(name, type_, role))
        return self._defined(name, type_)

    def constant(self, value: float) -> Value:
        """Return a number as a value; the same number is the same value."""
        key = float(value)
        # 0.0 and -0.0 are one key, but not one number.
        if key == 0.0 or key not in self._constants:
            self._constants[key] = self.append("constant", (), value=key, element=self.element)
        return self._constants[key]

    def count(self) -> Value:
        """Return the number of rows of the batch."""
        return self.append("count", (), element=self.element)

    def index(self, axis: Axis) -> Value:
        """Return each element's place along an axis."""
        return self.append("index", (), axis=axis)

    def append(self, op: str, operands: tuple[Value, ...], **attributes: Any) -> Value:
        """Add an operation and return its result.

        Raises
        ------
        TypeMismatch
            If the operands do not fit.
        """
        try:
            type_ = OPS[op].infer(tuple(value.type for value in operands), attributes)
        except TypeMismatch as error:
            raise TypeMismatch(f"{op} {error}") from None
        number = self._counts[op] = self._counts.get(op, 0) + 1
        name = f"{op}.{number}"
        names = tuple(value.name for value in operands)
        self._operations.append(Operation(name, type_, op, names, tuple(attributes.items())))
        return self._defined(name, type_)

    def _defined(self, name: str, type_: Type) -> Value:
        value = self._values[name] = Value(self, name, type_)
        return value

    def output(self, meaning: str, value: Value) -> None:
        """Name a value as an output."""
        self._outputs.append((meaning, value.name))

    @property
    def operations(self) -> tuple[Operation, ...]:
        """What has been added so far."""
        return tuple(self._operations)

    def value(self, name: str) -> Value:
        """Return the value of that name."""
        return self._values[name]

    def finish(self) -> Block:
        """Return the block."""
        return Block(tuple(self._inputs), tuple(self._operations), tuple(self._outputs))


def apply(op: str, *operands: Value | float, **attributes: Any) -> Value:
    """Apply an op to values and numbers, at least one of them a value."""
    block = next(operand.block for operand in operands if isinstance(operand, Value))
    values = tuple(operand if isinstance(operand, Value) else block.constant(operand) for operand in operands)
    return block.append(op, values, **attributes)


def mean_over_features(value: Value) -> Value:
    """Return the mean of each row over its features."""
    size = value.type.n_features
    for axis in value.type.features:
        value = value.sum(axis.name)
    return value if size == 1 else value * (1.0 / size)


def over_rows(value: Value) -> Value:
    """Return the sum over the rows."""
    return value.sum(ROWS.name)
