"""Reverse-mode gradients: one rule per op, and the walk that applies them.

A rule is given the operation's result, its operands and the gradient of the loss with respect to the result, and
returns the gradient with respect to each operand (None: no gradient flows). It may return a value that lacks axes of
the operand or has more: :func:`fit_axes` sums and expands. The rules build programs; nothing is computed here.

Source: Baydin, Pearlmutter, Radul, Siskind, "Automatic differentiation in machine learning: a survey", JMLR 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from hotloop.program.build import BlockBuilder, Value, apply
from hotloop.program.program import Operation
from hotloop.program.types import ROWS, Type

__all__ = ["RULES", "gradients"]

_Gradients = Sequence["Value | None"]
_Rule = Callable[[Operation, Value, Sequence[Value], Value], _Gradients]


def gradients(block: BlockBuilder, result: Value, inputs: Sequence[Value]) -> list[Value | None]:
    """Append the gradient of a scalar with respect to inputs of a block.

    Parameters
    ----------
    block : BlockBuilder
    result : Value
        Without axes.
    inputs : sequence of Value

    Returns
    -------
    list of Value or None
        For each input a value of its type, or None if the result does not depend on it.
    """
    operations = block.operations
    wanted = _depend_on(operations, inputs)
    found: dict[str, Value] = {result.name: block.constant(1.0)}
    for operation in reversed(operations):
        if operation.name not in found or operation.name not in wanted:
            continue
        own = Value(block, operation.name, operation.type)
        operands = [block.value(name) for name in operation.operands]
        for operand, part in zip(
            operands, RULES[operation.op](operation, own, operands, found[operation.name]), strict=True
        ):
            if part is not None and operand.name in wanted:
                part = fit_axes(part, operand.type)
                found[operand.name] = found[operand.name] + part if operand.name in found else part
    return [found.get(item.name) for item in inputs]


def fit_axes(value: Value, type_: Type) -> Value:
    """Sum over axes that ``type_`` lacks and expand along those the value lacks."""
    # Rows last: what has rows is computed row by row.
    for axis in sorted(value.type.axes, key=lambda axis: axis == ROWS):
        if axis not in type_.axes:
            value = value.sum(axis.name)
    # Innermost last; rows are put first by expand itself.
    for axis in type_.axes:
        if axis not in value.type.axes:
            value = apply("expand", value, axis=axis)
    return value


def _depend_on(operations: Sequence[Operation], inputs: Sequence[Value]) -> set[str]:
    names = {item.name for item in inputs}
    for operation in operations:
        if operation.type.element in ("f32", "f64") and names.intersection(operation.operands):
            names.add(operation.name)
    return names


def _max(operation: Operation, y: Value, x: Sequence[Value], g: Value) -> _Gradients:
    # At a tie the second operand gets it all: relu is max(x, 0), and its gradient at 0 is 0. NaN passes g on.
    second = apply("less_equal", y, x[1])
    return apply("select", second, 0.0, g), apply("select", second, g, 0.0)


def _min(operation: Operation, y: Value, x: Sequence[Value], g: Value) -> _Gradients:
    second = apply("less_equal", x[1], y)
    return apply("select", second, 0.0, g), apply("select", second, g, 0.0)


def _contract(operation: Operation, y: Value, x: Sequence[Value], g: Value) -> _Gradients:
    return _contract_to(g, x[1], x[0].type), _contract_to(g, x[0], x[1].type)


def _contract_to(g: Value, other: Value, type_: Type) -> Value:
    """Multiply and sum over the one axis that ``g`` and the other operand share and the result lacks."""
    shared = [axis.name for axis in g.type.axes if axis in other.type.axes and axis not in type_.axes]
    if not shared:
        return g * other
    # A gradient has its axes in the order of what it is the gradient of, and there are no transposes.
    found = [axis for axis in (*g.type.axes, *other.type.axes) if axis.name != shared[0]]
    turned = [axis for axis in found if axis in type_.features] != list(type_.features)
    return apply("contract", *((other, g) if turned else (g, other)), over=shared[0])


def _largest(operation: Operation, y: Value, x: Sequence[Value], g: Value) -> _Gradients:
    return (apply("select", apply("equal", x[0], y), g, 0.0),)


def _join(operation: Operation, y: Value, x: Sequence[Value], g: Value) -> _Gradients:
    parts, start = [], 0
    for operand in x:
        axis = operand.type.axes[-1]
        parts.append(apply("cut", g, axis=axis, start=start))
        start += axis.size or 0
    return parts


def _nothing(operation: Operation, y: Value, x: Sequence[Value], g: Value) -> _Gradients:
    return [None] * len(x)


RULES: Mapping[str, _Rule] = {
    "neg": lambda op, y, x, g: (-g,),
    "abs": lambda op, y, x, g: (g * apply("sign", x[0]),),
    "sign": _nothing,
    "sqrt": lambda op, y, x, g: (g * 0.5 / y,),
    "exp": lambda op, y, x, g: (g * y,),
    "expm1": lambda op, y, x, g: (g * (y + 1.0),),
    "log": lambda op, y, x, g: (g / x[0],),
    "tanh": lambda op, y, x, g: (g * (1.0 - y * y),),
    "sigmoid": lambda op, y, x, g: (g * (y * (1.0 - y)),),
    "softplus": lambda op, y, x, g: (g * apply("sigmoid", x[0]),),
    "erf": lambda op, y, x, g: (g * (apply("exp", -(x[0] * x[0])) * (2.0 / math.sqrt(math.pi))),),
    "add": lambda op, y, x, g: (g, g),
    "sub": lambda op, y, x, g: (g, -g),
    "mul": lambda op, y, x, g: (g * x[1], g * x[0]),
    "div": lambda op, y, x, g: (g / x[1], -(g / x[1]) * y),
    "max": _max,
    "min": _min,
    "less": _nothing,
    "less_equal": _nothing,
    "equal": _nothing,
    "select": lambda op, y, x, g: (None, apply("select", x[0], g, 0.0), apply("select", x[0], 0.0, g)),
    "to_real": _nothing,
    "contract": _contract,
    "sum": lambda op, y, x, g: (g,),
    "largest": _largest,
    "sum_log": lambda op, y, x, g: (g / x[0],),
    "square_sum": lambda op, y, x, g: (x[0] * (g * 2.0),),
    "expand": lambda op, y, x, g: (g,),
    "rename": lambda op, y, x, g: (apply("rename", g, source=op["target"], target=op["source"]),),
    "join": _join,
    "cut": lambda op, y, x, g: (apply("pad", g, axis=x[0].type.axes[-1], start=op["start"]),),
    "pad": lambda op, y, x, g: (apply("cut", g, axis=x[0].type.axes[-1], start=op["start"]),),
    "detach": _nothing,
    "constant": _nothing,
    "index": _nothing,
    "count": _nothing,
}
"""For each op, the gradient of its operands."""
