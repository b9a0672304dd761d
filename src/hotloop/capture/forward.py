"""From a graph to operations of a block: one writer for each kind of node.

The output of the k-th linear layer has the axis ``h<k>``, and its parameters are called ``w<k>`` and ``b<k>``. A weight
is one input, with the axes of its first use; for a later use with other axes it is renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hotloop.capture.graph import Graph, Node, Number, Operand, Weight
from hotloop.program.activations import ACTIVATIONS
from hotloop.program.build import BlockBuilder, Value, apply
from hotloop.program.types import Axis, Type

__all__ = ["Inputs", "write_forward"]

Inputs = dict[int, tuple[str, Type]]
"""Name and type of each weight by its number; the same in every block."""


@dataclass
class _Writer:
    block: BlockBuilder
    graph: Graph
    inputs: Inputs
    values: list[Value]
    weights: dict[int, Value] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def next(self, letter: str) -> int:
        """Return how many of a kind there have been."""
        number = self.counts.get(letter, 0)
        self.counts[letter] = number + 1
        return number

    def weight(self, index: int, name: str | None, axes: tuple[Axis, ...]) -> Value:
        """Return a weight with these axes; ``name`` is what it is called if this is its first use."""
        if index not in self.inputs:
            self.inputs[index] = (name or f"v{self.next('v')}", Type(self.block.element, axes))
        if index not in self.weights:
            self.weights[index] = self.block.input(*self.inputs[index], "weight")
        return _renamed(self.weights[index], axes)

    def operand(self, operand: Operand, beside: Axis) -> Value | float:
        """Return an operand of arithmetic with a value whose features lie along ``beside``."""
        if isinstance(operand, Number):
            return operand.value
        if isinstance(operand, Weight):
            return self.weight(operand.index, None, (beside,) if self.graph.shapes[operand.index] else ())
        return _renamed(self.values[operand], (self.values[operand].type.axes[0], beside))


def write_forward(block: BlockBuilder, graph: Graph, x: Value, inputs: Inputs) -> Value:
    """Append the network's operations and return its output, of shape (rows, outputs).

    Parameters
    ----------
    block : BlockBuilder
    graph : Graph
    x : Value of shape (rows, features)
    inputs : dict
        What weights are called; those that are missing are added.
    """
    writer = _Writer(block, graph, inputs, [x])
    for node in graph.nodes:
        writer.values.append(_WRITERS[node.op](writer, node))
    return writer.values[graph.output]


def _linear(writer: _Writer, node: Node) -> Value:
    """Matrix product and bias; the setting says whether the weight is stored (out, in), as layers do, or (in, out)."""
    source, weight, *bias = node.operands
    assert isinstance(source, int)
    assert isinstance(weight, Weight)
    x, number = writer.values[source], writer.next("h")
    inward = x.type.axes[-1]
    out_first = node.settings[0]
    outward = Axis(f"h{number}", writer.graph.shapes[weight.index][0 if out_first else 1])
    axes = (outward, inward) if out_first else (inward, outward)
    y = apply("contract", x, writer.weight(weight.index, f"w{number}", axes), over=inward.name)
    for own in bias:
        assert isinstance(own, Weight)
        y = y + writer.weight(own.index, f"b{number}", (outward,))
    return y


def _activation(writer: _Writer, node: Node) -> Value:
    (source,) = node.operands
    assert isinstance(source, int)
    name, settings = node.settings
    return ACTIVATIONS[name](writer.values[source], **dict(settings))


def _arithmetic(writer: _Writer, node: Node) -> Value:
    # The axis is that of the first operand that has rows.
    beside = next(writer.values[operand].type.axes[-1] for operand in node.operands if isinstance(operand, int))
    return apply(node.op, *(writer.operand(operand, beside) for operand in node.operands))


def _join(writer: _Writer, node: Node) -> Value:
    values = [writer.values[operand] for operand in node.operands if isinstance(operand, int)]
    return apply("join", *values, name=f"j{writer.next('j')}")


_WRITERS: Mapping[str, Callable[[_Writer, Node], Value]] = {
    "linear": _linear,
    "activation": _activation,
    "add": _arithmetic,
    "sub": _arithmetic,
    "mul": _arithmetic,
    "div": _arithmetic,
    "neg": _arithmetic,
    "join": _join,
}


def _renamed(value: Value, axes: tuple[Axis, ...]) -> Value:
    """Give a value's axes other names, one at a time, never two of one name."""
    pending = [(own.name, new.name) for own, new in zip(value.type.axes, axes, strict=True) if own != new]
    while pending:
        taken = {axis.name for axis in value.type.axes}
        place = next((place for place, (_, target) in enumerate(pending) if target not in taken), None)
        if place is None:
            # Axes that change names with each other: one steps aside.
            source, target = pending[0]
            value = apply("rename", value, source=source, target=f"{target}_")
            pending[0] = (f"{target}_", target)
            continue
        source, target = pending.pop(place)
        value = apply("rename", value, source=source, target=target)
    return value
