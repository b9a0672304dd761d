"""The primitive ops: read this first.

One row of :data:`OPS` is one op: how its result's type follows from its operands', what it means in NumPy, and what
an element of its result costs. A new op is one row here, one rule in ``gradients.py``, one row in
``compiler/elementwise.py`` (or a kernel, if it is not elementwise) and one case in ``tests/program/op_cases.py``.

==============  ==========================================================================================
kind            ops
==============  ==========================================================================================
elementwise     neg abs sign sqrt exp expm1 log tanh sigmoid softplus erf, add sub mul div max min,
                less less_equal equal, select, to_real
sums            contract (the sum of products over an axis), sum, largest, square_sum (over all axes),
                sum_log (the sum of logarithms)
shape           expand, rename, join, cut, pad, detach
sources         constant, index, count
==============  ==========================================================================================

``exp`` and ``log`` may promise something of their operands, so that less needs to be done: ``exp(x) most=0.0`` that x
is at most 0; ``log(x) most=c`` that x is from 1 to c. NaN breaks no promise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hotloop.program.types import ROWS, Axis, Type

__all__ = ["OPS", "Attributes", "Op", "TypeMismatch"]

Attributes = Mapping[str, Any]


class TypeMismatch(Exception):
    """Operands that do not fit an op: a mistake in whatever built the program."""


@dataclass(frozen=True)
class Op:
    """One primitive operation.

    Parameters
    ----------
    name : str
    kind : str
        "elementwise", "sum", "shape" or "source".
    infer : callable
        ``(operand types, attributes) -> result type``; raises TypeMismatch.
    meaning : callable
        In NumPy. Elementwise ops are given arrays that broadcast to the result, and what they return is converted to
        its element; the others are given ``(arrays, types, attributes, result type, number of rows)``.
    flop : float
        Floating-point operations for each element of the result; for sums, of the operand; for contract, of the
        product.
    """

    name: str
    kind: str
    infer: Callable[[tuple[Type, ...], Attributes], Type]
    meaning: Callable[..., Any]
    flop: float


def _union(types: tuple[Type, ...]) -> tuple[Axis, ...]:
    """All axes of the operands: those of the one with the most first, then others in order."""
    axes: list[Axis] = []
    for type_ in sorted(types, key=lambda type_: -len(type_.axes)):
        axes += [axis for axis in type_.axes if axis not in axes]
    if len({axis.name for axis in axes}) != len(axes):
        raise TypeMismatch(f"axes of one name and several sizes: {', '.join(map(str, axes))}")
    # Rows stand first wherever they stand.
    return tuple(sorted(axes, key=lambda axis: axis != ROWS))


def _same_element(types: tuple[Type, ...]) -> str:
    if len({type_.element for type_ in types}) != 1:
        raise TypeMismatch(f"operands of several elements: {', '.join(map(str, types))}")
    return types[0].element


def _alike(n_operands: int) -> Callable[[tuple[Type, ...], Attributes], Type]:
    def infer(types: tuple[Type, ...], attributes: Attributes) -> Type:
        _expect(len(types) == n_operands, f"takes {n_operands} operands", types)
        _expect(types[0].element in ("f32", "f64"), "takes real numbers", types)
        return Type(_same_element(types), _union(types))

    return infer


def _comparison(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _expect(len(types) == 2, "takes 2 operands", types)
    _same_element(types)
    return Type("bool", _union(types))


def _select(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _expect(len(types) == 3 and types[0].element == "bool", "takes a bool and two alternatives", types)
    return Type(_same_element(types[1:]), _union(types))


def _to_real(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _expect(len(types) == 1 and types[0].element in ("i64", "bool"), "takes an integer or a bool", types)
    return types[0].of(attributes["element"])


def _contract(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _expect(len(types) == 2, "takes 2 operands", types)
    over = attributes["over"]
    left, right = types
    names = [{axis.name for axis in type_.axes} for type_ in types]
    _expect(over in names[0] & names[1], f"sums over {over}, which not both have", types)
    _expect(left.axis(over) == right.axis(over), f"{over} has two sizes", types)
    return Type(_same_element(types), _union(types)).without(over)


def _sum(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _expect(len(types) == 1, "takes 1 operand", types)
    _expect(any(axis.name == attributes["over"] for axis in types[0].axes), f"has no {attributes['over']}", types)
    return types[0].without(attributes["over"])


def _square_sum(types: tuple[Type, ...], attributes: Attributes) -> Type:
    _expect(len(types) == 1, "takes 1 operand", types)
    return Type(types[0].element)


def _expand(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axis = attributes["axis"]
    _expect(all(axis.name != own.name for own in types[0].axes), f"has {axis.name} already", types)
    return Type(types[0].element, (axis, *types[0].axes) if axis == ROWS else (*types[0].axes, axis))


def _rename(types: tuple[Type, ...], attributes: Attributes) -> Type:
    source, target = attributes["source"], attributes["target"]
    axis = types[0].axis(source)
    _expect(all(own.name != target for own in types[0].axes), f"has {target} already", types)
    renamed = Axis(target, axis.size)
    return Type(types[0].element, tuple(renamed if own == axis else own for own in types[0].axes))


def _join(types: tuple[Type, ...], attributes: Attributes) -> Type:
    rows = types[0].axes[:-1]
    _expect(all(type_.axes[:-1] == rows and type_.axes[-1].size for type_ in types), "joins last axes", types)
    size = sum(type_.axes[-1].size or 0 for type_ in types)
    return Type(_same_element(types), (*rows, Axis(attributes["name"], size)))


def _cut(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axis, start = attributes["axis"], attributes["start"]
    _expect(start + axis.size <= (types[0].axes[-1].size or 0), "cuts past the end", types)
    return Type(types[0].element, (*types[0].axes[:-1], axis))


def _pad(types: tuple[Type, ...], attributes: Attributes) -> Type:
    axis, start = attributes["axis"], attributes["start"]
    _expect(start + (types[0].axes[-1].size or 0) <= axis.size, "pads to less", types)
    return Type(types[0].element, (*types[0].axes[:-1], axis))


def _detach(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return types[0]


def _constant(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return Type(attributes["element"])


def _index(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return Type("i64", (attributes["axis"],))


def _count(types: tuple[Type, ...], attributes: Attributes) -> Type:
    return Type(attributes["element"])


def _expect(holds: bool, what: str, types: tuple[Type, ...]) -> None:
    if not holds:
        raise TypeMismatch(f"{what}, not {', '.join(map(str, types))}")


def _sigmoid(x: Any) -> Any:
    # exp of a non-positive number only: no overflow on either side.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def _erf(x: Any) -> Any:
    return np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype)


def _contract_meaning(arrays: Any, types: Any, attributes: Any, result: Type, n_rows: int) -> Any:
    letters = {
        name: chr(ord("a") + place)
        for place, name in enumerate(dict.fromkeys(axis.name for type_ in types for axis in type_.axes))
    }
    left, right, out = ("".join(letters[axis.name] for axis in type_.axes) for type_ in (*types, result))
    return np.einsum(f"{left},{right}->{out}", *arrays, optimize=True)


def _along(type_: Type, name: str) -> int:
    return [axis.name for axis in type_.axes].index(name)


def _pad_meaning(arrays: Any, types: Any, attributes: Any, result: Type, n_rows: int) -> Any:
    size, start = attributes["axis"].size, attributes["start"]
    after = size - start - types[0].axes[-1].size
    return np.pad(arrays[0], [(0, 0)] * (arrays[0].ndim - 1) + [(start, after)])


def _expand_meaning(arrays: Any, types: Any, attributes: Any, result: Type, n_rows: int) -> Any:
    axis = attributes["axis"]
    size = n_rows if axis == ROWS else axis.size
    return np.repeat(np.expand_dims(arrays[0], _along(result, axis.name)), size, _along(result, axis.name))


def _cut_meaning(arrays: Any, types: Any, attributes: Any, result: Type, n_rows: int) -> Any:
    return arrays[0][..., attributes["start"] : attributes["start"] + attributes["axis"].size]


_FLOAT = {"f32": np.float32, "f64": np.float64}
_ROWS = [
    Op("neg", "elementwise", _alike(1), np.negative, 1),
    Op("abs", "elementwise", _alike(1), np.abs, 1),
    Op("sign", "elementwise", _alike(1), np.sign, 1),
    Op("sqrt", "elementwise", _alike(1), np.sqrt, 1),
    Op("exp", "elementwise", _alike(1), np.exp, 1),
    Op("expm1", "elementwise", _alike(1), np.expm1, 1),
    Op("log", "elementwise", _alike(1), np.log, 1),
    Op("tanh", "elementwise", _alike(1), np.tanh, 1),
    Op("sigmoid", "elementwise", _alike(1), _sigmoid, 1),
    Op("softplus", "elementwise", _alike(1), lambda x: np.logaddexp(x, x.dtype.type(0)), 1),
    Op("erf", "elementwise", _alike(1), _erf, 1),
    Op("add", "elementwise", _alike(2), np.add, 1),
    Op("sub", "elementwise", _alike(2), np.subtract, 1),
    Op("mul", "elementwise", _alike(2), np.multiply, 1),
    Op("div", "elementwise", _alike(2), np.divide, 1),
    Op("max", "elementwise", _alike(2), np.maximum, 1),
    Op("min", "elementwise", _alike(2), np.minimum, 1),
    Op("less", "elementwise", _comparison, np.less, 1),
    Op("less_equal", "elementwise", _comparison, np.less_equal, 1),
    Op("equal", "elementwise", _comparison, np.equal, 0),
    Op("select", "elementwise", _select, np.where, 0),
    Op("to_real", "elementwise", _to_real, lambda x: x, 0),
    Op("contract", "sum", _contract, _contract_meaning, 2),
    Op("sum", "sum", _sum, lambda a, t, at, r, n: a[0].sum(axis=_along(t[0], at["over"]), dtype=a[0].dtype), 1),
    Op("largest", "sum", _sum, lambda a, t, at, r, n: a[0].max(axis=_along(t[0], at["over"])), 1),
    Op("square_sum", "sum", _square_sum, lambda a, t, at, r, n: np.square(a[0]).sum(dtype=a[0].dtype), 2),
    Op("sum_log", "sum", _sum, lambda a, t, at, r, n: np.log(a[0]).sum(axis=_along(t[0], at["over"])), 2),
    Op("expand", "shape", _expand, _expand_meaning, 0),
    Op("rename", "shape", _rename, lambda a, t, at, r, n: a[0], 0),
    Op("join", "shape", _join, lambda a, t, at, r, n: np.concatenate(a, axis=-1), 0),
    Op("cut", "shape", _cut, _cut_meaning, 0),
    Op("pad", "shape", _pad, _pad_meaning, 0),
    Op("detach", "shape", _detach, lambda a, t, at, r, n: a[0], 0),
    Op("constant", "source", _constant, lambda a, t, at, r, n: np.asarray(at["value"], _FLOAT[r.element]), 0),
    Op("index", "source", _index, lambda a, t, at, r, n: np.arange(at["axis"].size), 0),
    Op("count", "source", _count, lambda a, t, at, r, n: np.asarray(n, _FLOAT[r.element]), 0),
]

OPS: Mapping[str, Op] = {op.name: op for op in _ROWS}
"""Every op by name."""
