"""One case and more for each op of ``program.ops.OPS``: its operands, the same in torch, and a program around it.

A case is used three times: the interpreter is compared with torch, the gradient rule with finite differences, and
compiled code with the interpreter. For the last the op stands in the middle of a step::

    h = x * w                            rows of data and a weight for each feature: gradients flow through the op
    result = around(h, x, y, v)          the op, and what it takes to have a gradient
    loss = mean of result * result
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from hotloop.program.build import BlockBuilder, Value, apply
from hotloop.program.gradients import gradients
from hotloop.program.optimizers import Sgd, write_update
from hotloop.program.program import Block, Program
from hotloop.program.types import ROWS, Axis, Type

__all__ = ["CASES", "OpCase", "Operand", "program_around"]


@dataclass(frozen=True)
class Operand:
    """Random numbers of these axes, "rows", "features" or both, from ``low`` to ``high``."""

    axes: str = "rows features"
    low: float = -2.0
    high: float = 2.0
    element: str = "f64"

    def type(self, n_features: int) -> Type:
        known = {"rows": ROWS, "features": Axis("features", n_features), "out": Axis("out", 5)}
        return Type(self.element, tuple(known[name] for name in self.axes.split()))

    def draw(self, random: np.random.Generator, n_rows: int, n_features: int) -> np.ndarray:
        shape = [n_rows if axis == ROWS else axis.size for axis in self.type(n_features).axes]
        if self.element == "i64":
            return random.integers(int(self.low), int(self.high), shape)
        numbers = random.uniform(self.low, self.high, shape)
        return numbers > 0 if self.element == "bool" else numbers


@dataclass(frozen=True)
class OpCase:
    """One use of an op.

    Parameters
    ----------
    op : str
    operands : tuple of Operand
    in_torch : callable
        Of the operands as tensors; the number of features where there is no operand to tell it.
    around : callable
        ``(h, x, y, v)`` to a value with rows, or without if it is to be added to the loss; ``v`` is a weight of shape
        (out, features).
    attributes : callable
        Number of features -> attributes.
    has_gradient : bool
        Whether gradients flow through the op.
    note : str
        What distinguishes the case from others of its op.
    """

    op: str
    operands: tuple[Operand, ...]
    in_torch: Callable[..., Any]
    around: Callable[..., Value]
    attributes: Callable[[int], Mapping[str, Any]] = field(default=lambda n_features: {})
    has_gradient: bool = True
    note: str = ""

    def __str__(self) -> str:
        return f"{self.op} {self.note}".strip()


def program_around(case: OpCase, element: str, n_features: int) -> Program:
    """Return a program with the case's op in its middle, trained by SGD, with an evaluation."""
    step, trained = _step(case, element, n_features, with_gradients=True)
    evaluation, _ = _step(case, element, n_features, with_gradients=False)
    n_trained = sum(step.types[name].n_features for name in trained)
    return Program(step, (write_update(Sgd(), trained, n_trained, element, clips=False),), evaluation)


def _step(case: OpCase, element: str, n_features: int, *, with_gradients: bool) -> tuple[Block, tuple[str, ...]]:
    """Return the block, and the weights that have a gradient."""
    block, features = BlockBuilder(element), Axis("features", n_features)
    x = block.input("x", Type(element, (ROWS, features)), "data")
    y = block.input("y", Type("i64", (ROWS,)), "data")
    w = block.input("w", Type(element, (features,)), "weight")
    v = block.input("v", Type(element, (Axis("out", 5), features)), "weight")
    h = x * w
    result = case.around(h, x, y, v)
    loss = _mean_square(result) if result.type.has_rows else _mean_square(h) + result
    block.output("loss", loss)
    trained = []
    if with_gradients:
        for weight, gradient in zip((w, v), gradients(block, loss, (w, v)), strict=True):
            if gradient is not None:
                trained.append(weight.name)
                block.output(f"gradient of {weight.name}", gradient)
    return block.finish(), tuple(trained)


def _mean_square(value: Value) -> Value:
    value = value * value
    for axis in value.type.features:
        value = value.sum(axis.name)
    return value.sum(ROWS.name) / value.block.count()


def _unary(op: str, in_torch: Any, low: float = -2.0, high: float = 2.0, note: str = "", **attributes: Any) -> OpCase:
    """Make a case of an op that takes any number, or, of h, a number from low to high."""
    everywhere = (low, high) == (-2.0, 2.0)

    def around(h: Value, x: Value, y: Value, v: Value) -> Value:
        inside = h if everywhere else apply("sigmoid", h) * (high - low) + low
        return apply(op, inside, **attributes)

    return OpCase(op, (Operand(low=low, high=high),), in_torch, around, lambda n: attributes, op != "sign", note)


def _binary(op: str, in_torch: Any, note: str = "") -> OpCase:
    positive = Operand(low=0.5, high=3.0) if op == "div" else Operand()
    denominator = (lambda x: x * x + 0.5) if op == "div" else (lambda x: x)
    around = lambda h, x, y, v: apply(op, h, denominator(x))  # noqa: E731
    return OpCase(op, (Operand(), positive), in_torch, around, note=note)


def _comparison(op: str, in_torch: Any) -> OpCase:
    around = lambda h, x, y, v: apply("select", apply(op, h, x), h * 2.0, x)  # noqa: E731
    return OpCase(op, (Operand(), Operand()), in_torch, around, has_gradient=False)


def _one_hot(h: Value, y: Value) -> Value:
    return apply("equal", y, h.block.index(h.type.features[0]))


def _of_pairs(values: Value, other: Value) -> Value:
    """Put features that are named and sized otherwise into the loss in the order of their places."""
    return values * apply("rename", other, source="features", target="other")


def _last(h: Value) -> Value:
    return apply("cut", h, axis=Axis("last", 1), start=h.type.n_features - 1)


def _cut(h: Value, x: Value, y: Value, v: Value) -> Value:
    n_features = h.type.n_features
    start = n_features // 2
    return apply("cut", h, axis=Axis("part", n_features - start), start=start)


def _pad(h: Value, x: Value, y: Value, v: Value) -> Value:
    wider = Axis("wider", h.type.n_features + 3)
    # Joined once more, so that what is padded is read, and not only summed.
    return apply("pad", h, axis=wider, start=2) * apply("pad", x, axis=wider, start=1)


_PER_ROW, _PER_FEATURE, _SCALAR = Operand("rows"), Operand("features"), Operand("")

_ROWS: list[OpCase] = [
    _unary("neg", torch.neg),
    _unary("abs", torch.abs),
    _unary("sign", torch.sign),
    _unary("sqrt", torch.sqrt, 0.1, 3.0),
    _unary("exp", torch.exp),
    _unary("exp", torch.exp, -9.0, 0.0, "of at most 0", most=0.0),
    _unary("expm1", torch.expm1),
    _unary("log", torch.log, 0.1, 9.0),
    _unary("log", torch.log, 1.0, 9.0, "from 1 on", most=9.0),
    _unary("tanh", torch.tanh),
    _unary("sigmoid", torch.sigmoid),
    _unary("softplus", lambda x: torch.nn.functional.softplus(x, threshold=1e9)),
    _unary("erf", torch.erf),
    _binary("add", torch.add),
    _binary("sub", torch.sub),
    _binary("mul", torch.mul),
    _binary("div", torch.div),
    _binary("max", torch.maximum),
    _binary("min", torch.minimum),
    OpCase(
        "max", (Operand(), _SCALAR), torch.maximum, lambda h, x, y, v: apply("max", h, 0.25), note="with one number"
    ),
    OpCase("min", (Operand(), _SCALAR), torch.minimum, lambda h, x, y, v: apply("min", -0.5, h), note="of one number"),
    OpCase(
        "mul",
        (Operand(), _PER_FEATURE),
        torch.mul,
        lambda h, x, y, v: h * (x * x).sum("features"),
        note="by one number a row",
    ),
    OpCase(
        "add",
        (_PER_ROW, Operand()),
        lambda a, b: a[:, None] + b,
        lambda h, x, y, v: h.sum("features") + x,
        note="of one number a row",
    ),
    _comparison("less", torch.lt),
    _comparison("less_equal", torch.le),
    _comparison("equal", torch.eq),
    OpCase(
        "equal",
        (Operand("rows", 0, 3, "i64"), Operand("features", 0, 3, "i64")),
        lambda a, b: a[:, None] == b,
        lambda h, x, y, v: apply("select", _one_hot(h, y), h, x),
        has_gradient=False,
        note="of integers",
    ),
    OpCase(
        "select",
        (Operand(element="bool"), Operand(), Operand()),
        torch.where,
        lambda h, x, y, v: apply("select", apply("less", x, 0.3), h, h * x),
    ),
    OpCase(
        "to_real",
        (Operand("rows", -3, 9, "i64"),),
        lambda a: a.double(),
        lambda h, x, y, v: apply("to_real", y, element=h.block.element) * h,
        lambda n: {"element": "f64"},
        has_gradient=False,
        note="of integers",
    ),
    OpCase(
        "to_real",
        (Operand(element="bool"),),
        lambda a: a.double(),
        lambda h, x, y, v: apply("to_real", apply("less", x, h), element=h.block.element) * h,
        lambda n: {"element": "f64"},
        has_gradient=False,
        note="of comparisons",
    ),
    OpCase(
        "contract",
        (Operand(), Operand("out features")),
        lambda a, b: a @ b.T,
        lambda h, x, y, v: apply("tanh", apply("contract", h, v, over="features")),
        lambda n: {"over": "features"},
    ),
    OpCase(
        "contract",
        (Operand("rows out"), Operand("rows features")),
        lambda a, b: a.T @ b,
        # Over rows it is a gradient: that of the weights v.
        lambda h, x, y, v: apply("contract", apply("sigmoid", h), v, over="features"),
        lambda n: {"over": "rows"},
        note="over rows",
    ),
    OpCase(
        "sum",
        (Operand(),),
        lambda a: a.sum(1),
        lambda h, x, y, v: h.sum("features"),
        lambda n: {"over": "features"},
    ),
    OpCase(
        "sum",
        (Operand(),),
        lambda a: a.sum(1),
        lambda h, x, y, v: h * x.sum("features"),
        lambda n: {"over": "features"},
        note="of what no loop makes",
    ),
    OpCase(
        "sum",
        (Operand(),),
        lambda a: a.sum(0),
        lambda h, x, y, v: (h.sum("features")).sum("rows"),
        lambda n: {"over": "rows"},
        note="over rows",
    ),
    OpCase(
        "largest",
        (Operand(),),
        lambda a: a.amax(1),
        lambda h, x, y, v: h - apply("largest", h, over="features"),
        lambda n: {"over": "features"},
    ),
    OpCase(
        "largest",
        (Operand(),),
        lambda a: a.amax(1),
        lambda h, x, y, v: h * apply("largest", apply("join", x, x * 2.0, name="joined"), over="joined"),
        lambda n: {"over": "features"},
        note="of what is joined",
    ),
    OpCase(
        "square_sum",
        (_PER_FEATURE,),
        lambda a: a.square().sum(),
        lambda h, x, y, v: apply("square_sum", v) * 0.7,
    ),
    OpCase(
        "sum_log",
        (Operand("rows", 1.0, 3.0),),
        lambda a: a.log().sum(0),
        lambda h, x, y, v: apply("sum_log", apply("sigmoid", h.sum("features")) * 2.0 + 1.0, over="rows", most=3.0),
        lambda n: {"over": "rows", "most": 3.0},
    ),
    OpCase(
        "expand",
        (_PER_ROW,),
        lambda a: a[:, None].expand(-1, 4),
        lambda h, x, y, v: apply("expand", h.sum("features"), axis=Axis("copies", 4)),
        lambda n: {"axis": Axis("copies", 4)},
    ),
    OpCase(
        "expand",
        (_PER_FEATURE, Operand()),
        lambda a, b: a.expand(len(b), -1),
        lambda h, x, y, v: apply("expand", apply("square_sum", v), axis=ROWS) * h,
        lambda n: {"axis": ROWS},
        note="over rows",
    ),
    OpCase(
        "rename",
        (Operand(),),
        lambda a: a,
        lambda h, x, y, v: _of_pairs(apply("rename", h, source="features", target="other"), x),
        lambda n: {"source": "features", "target": "other"},
    ),
    OpCase(
        "join",
        (Operand(), Operand("rows out")),
        lambda a, b: torch.cat([a, b], 1),
        lambda h, x, y, v: apply("join", h, apply("contract", x, v, over="features"), x, name="joined"),
        lambda n: {"name": "joined"},
    ),
    OpCase(
        "cut",
        (Operand(),),
        lambda a: a[:, a.shape[1] // 2 :],
        _cut,
        lambda n: {"axis": Axis("part", n - n // 2), "start": n // 2},
    ),
    OpCase(
        "cut",
        (Operand(),),
        lambda a: a[:, -1:],
        # Two loops over one last feature, and one over all.
        lambda h, x, y, v: h * apply("largest", _last(h) * 1.0, over="last") + _last(x).sum("last"),
        lambda n: {"axis": Axis("last", 1), "start": n - 1},
        note="of the last",
    ),
    OpCase(
        "pad",
        (Operand(),),
        lambda a: torch.nn.functional.pad(a, (2, 1)),
        _pad,
        lambda n: {"axis": Axis("wider", n + 3), "start": 2},
    ),
    OpCase("detach", (Operand(),), torch.clone, lambda h, x, y, v: apply("detach", h) * h, has_gradient=False),
    OpCase(
        "constant",
        (),
        lambda n: torch.tensor(0.1, dtype=torch.float64),
        lambda h, x, y, v: h * 0.1,
        lambda n: {"value": 0.1, "element": "f64"},
        has_gradient=False,
    ),
    OpCase(
        "index",
        (),
        lambda n: torch.arange(n),
        lambda h, x, y, v: apply("to_real", _one_hot(h, y), element=h.block.element) * h,
        lambda n: {"axis": Axis("features", n)},
        has_gradient=False,
    ),
    OpCase(
        "count",
        (),
        lambda n: torch.tensor(0.0, dtype=torch.float64),
        lambda h, x, y, v: h * h.block.count(),
        lambda n: {"element": "f64"},
        has_gradient=False,
    ),
]

CASES: Mapping[str, OpCase] = {str(case): case for case in _ROWS}
"""Every case by what it is called."""
