"""What each covered function of torch adds to the graph: one handler for each row of ``supported.FUNCTIONS``.

Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch

from hotloop.capture.activation import read_activation
from hotloop.capture.graph import Number, Operand, Weight
from hotloop.capture.stand_ins import ParameterStandIn, RowCount, Rows, StandIn
from hotloop.capture.supported import ACTIVATIONS, FUNCTIONS, Activation

if TYPE_CHECKING:
    from hotloop.capture.follower import Follower

__all__ = ["Handler", "handlers"]

Handler = Callable[["Follower", tuple[Any, ...], dict[str, Any], bool], StandIn]
"""Takes who follows, the arguments, and whether the function works in place; returns what the function returns."""


@cache
def handlers() -> Mapping[Any, tuple[Handler, bool]]:
    """Return the handler of each covered function, and of each method by its name, and whether it works in place."""
    rows: list[tuple[Handler, tuple[str, ...]]] = [(partial(_activation, row), row.functions) for row in ACTIVATIONS]
    rows += [(_HANDLERS[row.kind], row.names) for row in FUNCTIONS]
    found: dict[Any, tuple[Handler, bool]] = {}
    for handler, names in rows:
        for name in names:
            function: Any = torch
            for part in name.split(".")[1:]:
                function = getattr(function, part)
            found[function] = handler, name.endswith("_")
            if name.startswith("torch.Tensor."):
                found[name.removeprefix("torch.Tensor.")] = found[function]
    return found


def _bind(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], **defaults: Any) -> list[Any]:
    """Return the arguments in the order of ``defaults``."""
    names = list(defaults)
    unknown = sorted(set(kwargs) - set(names[len(args) :]))
    if len(args) > len(names) or unknown:
        follower.refuse(f"it is called with {unknown[0] if unknown else 'an argument'} that is not covered")
    return list({**defaults, **dict(zip(names, args, strict=False)), **kwargs}.values())


def _rows(follower: Follower, value: Any) -> Rows:
    if not isinstance(value, Rows):
        follower.refuse("it computes with something else than rows", "use parameters in + - * / @ and linear only")
    return value


def _activation(
    row: Activation, follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool
) -> StandIn:
    given, *settings, inplace = _bind(follower, args, kwargs, input=None, **row.defaults, inplace=False)
    in_place = in_place or bool(inplace)
    x = _rows(follower, given)
    node = read_activation(follower.where, row, dict(zip(row.defaults, settings, strict=True)), in_place)
    return follower.add("activation", (x.number,), x.width, node, changes=x if in_place else None)


def _linear(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    given, weight, bias = _bind(follower, args, kwargs, input=None, weight=None, bias=None)
    return _times(follower, given, weight, bias, turned=True)


def _matmul(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    given, weight = _bind(follower, args, kwargs, input=None, other=None)
    return _times(follower, given, weight, None, turned=False)


def _times(follower: Follower, given: Any, weight: Any, bias: Any, turned: bool) -> StandIn:
    """Rows times a matrix of shape (in, out), or (out, in) where it is turned; plus a bias."""
    x = _rows(follower, given)
    if not isinstance(weight, ParameterStandIn) or weight.ndim != 2:
        follower.refuse("it multiplies rows with something else than a parameter of two axes")
    n_in, n_out = weight.shape[::-1] if turned else weight.shape
    if n_in != x.width:
        follower.refuse(f"it takes {n_in} columns, and is given {x.width}", "check the widths of the layers")
    operands: list[Operand] = [x.number, Weight(weight.number)]
    if bias is not None:
        if not isinstance(bias, ParameterStandIn) or bias.shape != (n_out,):
            follower.refuse("its bias is no parameter with one number for each output")
        operands.append(Weight(bias.number))
    return follower.add("linear", tuple(operands), n_out, (weight.is_transposed != turned,))


def _arithmetic(op: str, follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    left, right, alpha = _bind(follower, args, kwargs, input=None, other=None, alpha=1)
    if alpha != 1:
        right = _arithmetic("mul", follower, (right, alpha), {}, False)
    rows = [value for value in (left, right) if isinstance(value, Rows)]
    if not rows:
        follower.refuse("it computes with parameters alone", "compute with rows and parameters only")
    operands = tuple(_operand(follower, value, rows[0].width) for value in (left, right))
    changed = _rows(follower, left) if in_place else None
    return follower.add(op, operands, rows[0].width, changes=changed)


def _operand(follower: Follower, value: Any, width: int) -> Operand:
    """One side of arithmetic on rows of a width; whatever torch would have to repeat is refused."""
    if isinstance(value, Rows):
        if value.width != width:
            follower.refuse(f"it repeats columns: {value.width} beside {width}", "use tensors of one shape")
        return value.number
    if isinstance(value, ParameterStandIn):
        if value.shape not in ((), (width,)):
            follower.refuse(f"it repeats a parameter of shape {tuple(value.shape)} over {width} columns")
        return Weight(value.number)
    if isinstance(value, RowCount):
        follower.refuse("what it computes depends on the number of rows", "write it for one row")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        follower.refuse(f"it computes with a {type(value).__name__}", "use tensors and plain numbers")
    return Number(float(value))


def _negative(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    (given,) = _bind(follower, args, kwargs, input=None)
    x = _rows(follower, given)
    return follower.add("neg", (x.number,), x.width)


def _cat(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    if "axis" in kwargs:
        kwargs = {**kwargs, "dim": kwargs["axis"]}
        del kwargs["axis"]
    tensors, dim = _bind(follower, args, kwargs, tensors=(), dim=0)
    parts = [_rows(follower, tensor) for tensor in tensors]
    if dim not in (1, -1):
        follower.refuse("it joins rows, not columns", "use dim=-1")
    if len(parts) == 1:
        follower.refuse("it joins one tensor alone", "leave torch.cat out")
    return follower.add("join", tuple(part.number for part in parts), sum(part.width for part in parts))


def _flatten(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    given, start, end = _bind(follower, args, kwargs, input=None, start_dim=0, end_dim=-1)
    if start not in (1, -1) or end not in (1, -1):
        follower.refuse("it flattens the rows away", "use start_dim=1")
    return _rows(follower, given)


def _view(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    x, *shape = args
    shape = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    rows, width = shape if len(shape) == 2 and not kwargs else (None, None)
    whole = (isinstance(rows, RowCount) and _is(width, -1, x.width)) or (_is(rows, -1) and _is(width, x.width))
    if not whole:
        follower.refuse("it gives rows another shape", "leave rows flat")
    return _rows(follower, x)


def _is(value: Any, *numbers: int) -> bool:
    return type(value) is int and value in numbers


def _size(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> Any:
    x, dim = _bind(follower, args, kwargs, input=None, dim=None)
    return x.shape if dim is None else x.shape[dim]


def _dim(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> Any:
    (x,) = _bind(follower, args, kwargs, input=None)
    return x.ndim


def _clone(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    (given,) = _bind(follower, args, kwargs, input=None)
    x = _rows(follower, given)
    copied = follower.rows(x.number, x.width)
    copied.is_given = False
    return copied


def _dropout(follower: Follower, args: tuple[Any, ...], kwargs: dict[str, Any], in_place: bool) -> StandIn:
    given, p, training, _ = _bind(follower, args, kwargs, input=None, p=0.5, training=True, inplace=False)
    if training and p != 0:
        follower.refuse("dropout draws masks", "set p=0, or put it into eval mode")
    return _rows(follower, given)


_HANDLERS: Mapping[str, Handler] = {
    "linear": _linear,
    "matmul": _matmul,
    **{op: partial(_arithmetic, op) for op in ("add", "sub", "mul", "div")},
    "neg": _negative,
    "cat": _cat,
    "flatten": _flatten,
    "view": _view,
    "size": _size,
    "dim": _dim,
    "clone": _clone,
    "dropout": _dropout,
}
