"""How each elementwise op is written for lanes: one row of :data:`EMITTERS` for each.

Operands are given as registers: reals, integers or masks, as the op's types say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hotloop.compiler import vector_math
from hotloop.compiler.lanes import Lanes

__all__ = ["EMITTERS", "NARROW_EMITTERS", "equal_integers", "largest", "real_of_integer"]


def largest(lanes: Lanes, a: str, b: str) -> str:
    """Return the larger; NaN if ``a`` is NaN. One instruction, unlike a maximum that minds NaN in both."""
    return lanes.select(lanes.compare("olt", a, b), b, a)


def _largest(lanes: Lanes, a: str, b: str) -> str:
    if b.startswith(("splat", "0x")):
        return largest(lanes, a, b)
    return _either_nan(lanes, b, largest(lanes, a, b))


def _smallest(lanes: Lanes, a: str, b: str) -> str:
    smaller = lanes.select(lanes.compare("olt", b, a), b, a)
    return smaller if b.startswith(("splat", "0x")) else _either_nan(lanes, b, smaller)


def _either_nan(lanes: Lanes, b: str, chosen: str) -> str:
    return lanes.select(lanes.compare("uno", b, b), b, chosen)


def _sign(lanes: Lanes, x: str) -> str:
    # Zero and NaN are their own sign: nothing is above zero in size.
    has_sign = lanes.compare("ogt", lanes.abs(x), lanes.constant(0.0))
    return lanes.select(has_sign, lanes.copysign(lanes.constant(1.0), x), x)


def equal_integers(lanes: Lanes, a: str, b: str) -> str:
    """Compare integers."""
    return lanes.int_compare("eq", a, b)


def real_of_integer(lanes: Lanes, a: str) -> str:
    """Convert an integer."""
    return lanes.to_real(a)


EMITTERS: Mapping[str, Callable[..., str]] = {
    "neg": Lanes.neg,
    "abs": Lanes.abs,
    "sign": _sign,
    "sqrt": Lanes.sqrt,
    "exp": vector_math.exp,
    "expm1": vector_math.expm1,
    "log": vector_math.log,
    "tanh": vector_math.tanh,
    "sigmoid": vector_math.sigmoid,
    "softplus": vector_math.softplus,
    "erf": vector_math.erf,
    "add": Lanes.add,
    "sub": Lanes.sub,
    "mul": Lanes.mul,
    "div": Lanes.div,
    "max": _largest,
    "min": _smallest,
    "less": lambda lanes, a, b: lanes.compare("olt", a, b),
    "less_equal": lambda lanes, a, b: lanes.compare("ole", a, b),
    "equal": lambda lanes, a, b: lanes.compare("oeq", a, b),
    "select": Lanes.select,
    "to_real": lambda lanes, mask: lanes.select(mask, lanes.constant(1.0), lanes.constant(0.0)),
}
"""Name of an op -> function of lanes and operands."""

NARROW_EMITTERS: Mapping[str, Callable[..., str]] = {
    "exp": vector_math.exp_up_to_zero,
    "log": vector_math.log_from_one,
}
"""The same for operations that promise something of their operand, by the attribute ``most``."""
