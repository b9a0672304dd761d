"""The natural logarithm."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.vector_math.common import FORMATS, exactly, polynomial

__all__ = ["log"]

# (log(1 + f) - f) / f^2 for sqrt(1/2) <= 1 + f <= sqrt(2); relative error of log(1 + f): 2^-24.6 and 2^-55.9.
# The degree is odd, so that the last coefficient is positive: infinity in, infinity out.
TAIL = {
    "f32": (-0.4999999, 0.33333954, -0.25001827, 0.19961935, -0.16568458, 0.14917682, -0.14322801, 0.087523416),
    "f64": (
        -0.5000000000000003,
        0.33333333333333026,
        -0.24999999999976288,
        0.20000000000077237,
        -0.1666666667126111,
        0.1428571428103729,
        -0.1249999960649466,
        0.11111110996623645,
        -0.10000017920955358,
        0.09090931353455786,
        -0.08332866083109458,
        0.07691348459037786,
        -0.07149838404656061,
        0.06686957317319049,
        -0.06196309225161099,
        0.05652955758868281,
        -0.05660919821765513,
        0.06537454065320207,
        -0.06063608460082035,
        0.02662607573337835,
    ),
}


@dataclass(frozen=True)
class _Scaling:
    """How x is brought to where it and its reciprocal are normal numbers: multiplied by one of two powers of two.

    Parameters
    ----------
    threshold : float
        Below it, ``up`` is the factor, else ``down``.
    up, down : float
    largest_inverse : int
        Exponent of a power of two greater than the reciprocal of any positive x, scaled.
    offset : int
        Added to exponents to keep them positive.
    """

    threshold: float
    up: float
    down: float
    largest_inverse: int
    offset: int


ROOT_HALF_BITS = {"f32": 0x3F3504F3, "f64": 0x3FE6A09E667F3BCD}

_SCALING = {
    "f32": _Scaling(2.0**-32, 2.0**64, 0.25, 86, 0),
    "f64": _Scaling(2.0**-400, 2.0**600, 0.25, 475, 1100),
}


@exactly
def log(lanes: Lanes, x: str) -> str:
    """Return log(x): -infinity for 0 of either sign, NaN below.

    Notes
    -----
    x is scaled by a power of two, then ``x = 2^e (1 + f)`` with 1 + f between sqrt(1/2) and sqrt(2), and
    ``log(x) = e ln(2) + f + f^2 tail(f)``.

    f comes from multiplying by 2^-e, as a real, rather than from the bits of x: so special values go the way of all
    others. Zeros, negative numbers and infinity have in common that 2^-e, as made from their bits, is out of the range
    that positive numbers give (for zero since a very small number is added to x, for the others since the sign bit is
    set). There ``-inf * x - inf`` stands in for x, which is -infinity for zero and for infinity, NaN for a negative
    number. Then f is -infinity for zero, +infinity for infinity (its 2^-e came out as -infinity), and the sums above
    keep it.
    """
    format_, scaling = FORMATS[lanes.element], _SCALING[lanes.element]
    factor = lanes.select(
        lanes.compare("olt", x, lanes.constant(scaling.threshold)),
        lanes.constant(scaling.up),
        lanes.constant(scaling.down),
    )
    # The addend vanishes in rounding, except where x is zero.
    scaled = lanes.fma(x, factor, lanes.constant(2.0 ** (1 - format_.bias)))
    exponent = _exponent(lanes, scaled)
    # The bits of 2^-e: exponent fields count from the bias.
    top = 2 * format_.bias + scaling.offset << format_.mantissa_bits
    inverse = lanes.int_op("sub", lanes.integer(top), exponent)
    limit = lanes.integer(format_.bias + scaling.largest_inverse << format_.mantissa_bits)
    infinity = lanes.constant(-math.inf)
    stand_in = lanes.fma(scaled, infinity, infinity)
    scaled = lanes.select(lanes.int_compare("ugt", inverse, limit), stand_in, scaled)
    f = lanes.fma(scaled, lanes.from_bits(inverse), lanes.constant(-1.0))
    of_rest = lanes.fma(lanes.mul(f, f), polynomial(lanes, f, TAIL[lanes.element]), f)
    # Here the exponent's bias and the factor's cancel. |e ln(2)| is at least twice the other term, or zero: no digits
    # are lost.
    return _plus_exponent(lanes, lanes.int_op("sub", exponent, lanes.bits(factor)), of_rest)


def _exponent(lanes: Lanes, scaled: str) -> str:
    """Return e with bias and offset, shifted to where the exponent field is."""
    format_, offset = FORMATS[lanes.element], _SCALING[lanes.element].offset
    one = format_.bias + offset << format_.mantissa_bits
    field = lanes.int_op("add", lanes.bits(scaled), lanes.integer(one - ROOT_HALF_BITS[lanes.element]))
    return lanes.int_op("and", field, lanes.integer(-1 << format_.mantissa_bits))


def _plus_exponent(lanes: Lanes, exponent: str, term: str) -> str:
    """Return e ln(2) + term, e being given with the offset and shifted as the exponent field."""
    format_, offset = FORMATS[lanes.element], _SCALING[lanes.element].offset
    n_bits, ln2 = format_.mantissa_bits, math.log(2)
    if lanes.element == "f32":
        return lanes.fma(lanes.to_real(exponent), lanes.constant(ln2 * 2.0**-n_bits), term)
    # Before AVX-512 nothing converts 64-bit integers: make the number the low bits of a real with unit spacing.
    low = lanes.int_op("lshr", exponent, lanes.integer(n_bits))
    spaced = lanes.from_bits(lanes.int_op("or", low, lanes.integer(format_.bias + n_bits << n_bits)))
    return lanes.fma(lanes.sub(spaced, lanes.constant(2.0**n_bits + offset)), lanes.constant(ln2), term)
