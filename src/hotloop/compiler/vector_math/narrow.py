"""exp and log for operands that a program promises to be harmless: a third less to do than for any operand.

A softmax subtracts the largest of its operands: its exponentials are of numbers up to 0, and their sum is 1 or more.
The promise is the attribute ``most`` of the op; NaN stays NaN all the same. What float64 takes does not matter, so it
gets the functions for any operand.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.vector_math.common import FORMATS, at_least, exactly, polynomial
from hotloop.compiler.vector_math.exponential import exp, less_one
from hotloop.compiler.vector_math.logarithm import ROOT_HALF_BITS, TAIL, log

__all__ = ["exp_up_to_zero", "log_from_one"]

# (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2; relative error of exp(r): 2^-27.5.
_EXP_TAIL = (0.49999994, 0.16666521, 0.041668266, 0.008368682, 0.0013820883)
# The same for |r| <= ln(2) / 32: 2^-29.2.
_EXP_TAIL_BESIDE_TABLE = (0.5000162, 0.1666672)
# Below it, 2^n exp(r) would not be a normal number; exp(-86.6) is 2e-38.
_LOWEST = -86.6


@exactly
def exp_up_to_zero(lanes: Lanes, x: str) -> str:
    """Return exp(x) for x up to 0; below -86.6 it is exp(-86.6), where nothing is left of it beside 1.

    Notes
    -----
    ``x = n ln(2) / parts + r`` and ``exp(x) = 2^(n / parts) exp(r)``. The whole part of the power is added to the
    exponent as an integer. Where one instruction looks up a number for each lane, there are as many parts as lanes: r
    is so small that its polynomial takes two coefficients instead of five. (n has more bits then, so that only a fused
    multiply-add keeps its product with ln(2) exact; such targets have one.)
    """
    if lanes.element == "f64":
        return exp(lanes, x)
    parts = lanes.width if lanes.lookup else 1
    format_ = FORMATS["f32"]
    x = at_least(lanes, x, _LOWEST)
    shifted = lanes.fma(x, lanes.constant(parts / math.log(2)), lanes.constant(format_.magic))
    n = lanes.sub(shifted, lanes.constant(format_.magic))
    r = lanes.fma(n, lanes.constant(-format_.ln2_high / parts), x)
    r = lanes.fma(n, lanes.constant(-format_.ln2_low / parts), r)
    # The whole number stands in the lowest bits of the shifted sum; higher ones fall off.
    number = lanes.bits(shifted)
    exponent = lanes.int_op("shl", number, lanes.integer(format_.mantissa_bits - _log2(parts)))
    if parts == 1:
        of_rest = lanes.fma(r, polynomial(lanes, r, (1.0, *_EXP_TAIL)), lanes.constant(1.0))
        return lanes.from_bits(lanes.int_op("add", lanes.bits(of_rest), exponent))
    power = lanes.bits(lanes.look_up(_powers(parts), number))
    power = lanes.from_bits(lanes.int_op("add", power, exponent))
    return lanes.fma(power, less_one(lanes, r, _EXP_TAIL_BESIDE_TABLE), power)


@functools.cache
def _powers(parts: int) -> tuple[float, ...]:
    """Return 2^(i / parts) for i < parts, less what i adds when it is shifted towards the exponent with the rest."""
    i = np.arange(parts)
    bits = np.exp2(i / parts).astype(np.float32).view(np.int32)
    shifted = (i << FORMATS["f32"].mantissa_bits - _log2(parts)).astype(np.int32)
    return tuple((bits - shifted).view(np.float32).tolist())


def _log2(n: int) -> int:
    return n.bit_length() - 1


@exactly
def log_from_one(lanes: Lanes, x: str) -> str:
    """Return log(x) for finite x from 1 on.

    Notes
    -----
    ``x = 2^e (1 + f)`` with 1 + f between sqrt(1/2) and sqrt(2), and ``log(x) = e ln(2) + f + f^2 tail(f)``.
    """
    if lanes.element == "f64":
        return log(lanes, x)
    format_ = FORMATS["f32"]
    one = format_.bias << format_.mantissa_bits
    above = lanes.int_op("sub", lanes.bits(x), lanes.integer(ROOT_HALF_BITS["f32"]))
    exponent = lanes.int_op("and", above, lanes.integer(-1 << format_.mantissa_bits))
    inverse = lanes.from_bits(lanes.int_op("sub", lanes.integer(one), exponent))
    f = lanes.fma(x, inverse, lanes.constant(-1.0))
    of_rest = lanes.fma(lanes.mul(f, f), polynomial(lanes, f, TAIL["f32"]), f)
    return lanes.fma(lanes.to_real(exponent), lanes.constant(math.log(2) * 2.0**-format_.mantissa_bits), of_rest)
