"""What the vector functions share: exact arithmetic, polynomials, splitting off a power of two.

Coefficients in this package were found by a Remez exchange in 50 digits (mpmath) for the relative error of the whole
function, not of the polynomial alone. Then they were rounded to the element's precision one after the other, lowest
power first, the rest fitted anew each time (of those for f64 after the first few only). Each table says which error the
rounded ones reached.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hotloop.compiler.lanes import Lanes

__all__ = [
    "FORMATS",
    "Format",
    "at_least",
    "at_most",
    "exactly",
    "polynomial",
    "reciprocal",
    "rounded_power",
    "scaled_rest",
]


@dataclass(frozen=True)
class Format:
    """Constants of a floating-point format.

    Parameters
    ----------
    mantissa_bits : int
        Stored bits of the mantissa.
    bias : int
        The exponent field of 1.
    ln2_high, ln2_low : float
        They add up to ln(2); the product of the first with a whole number of the size of an exponent is exact, so that
        subtracting it from something close loses nothing, with or without FMA (Cody and Waite, "Software Manual for the
        Elementary Functions", 1980).
    """

    mantissa_bits: int
    bias: int
    ln2_high: float
    ln2_low: float

    @property
    def magic(self) -> float:
        """A number so large that adding it rounds to an integer, which its lowest bits then hold, for either sign."""
        return 1.5 * 2.0**self.mantissa_bits


FORMATS = {
    "f32": Format(23, 127, 0.693145751953125, 1.4286068203094172e-06),
    "f64": Format(52, 1023, 0.69314718055989033, 5.497923018708371e-14),
}


def exactly(function: Callable[[Lanes, str], str]) -> Callable[[Lanes, str], str]:
    """Let a function emit arithmetic without fast-math flags: reassociation would undo its range reduction."""

    @functools.wraps(function)
    def emit(lanes: Lanes, x: str) -> str:
        before, lanes.exact = lanes.exact, True
        try:
            return function(lanes, x)
        finally:
            lanes.exact = before

    return emit


def at_most(lanes: Lanes, x: str, limit: float) -> str:
    """Return the lesser of x and a constant; NaN stays NaN. One instruction on x86, in this order of operands."""
    bound = lanes.constant(limit)
    return lanes.select(lanes.compare("olt", bound, x), bound, x)


def at_least(lanes: Lanes, x: str, limit: float) -> str:
    """Return the greater of x and a constant; NaN stays NaN."""
    bound = lanes.constant(limit)
    return lanes.select(lanes.compare("ogt", bound, x), bound, x)


def polynomial(lanes: Lanes, x: str, coefficients: Sequence[float]) -> str:
    """Return the polynomial with these coefficients, constant term first, by Horner's rule: the fewest instructions.

    Its latency is that of a chain, but neighbouring vectors do not wait for each other.
    """
    *rest, result = [lanes.constant(coefficient) for coefficient in coefficients]
    for coefficient in reversed(rest):
        result = lanes.fma(result, x, coefficient)
    return result


def rounded_power(lanes: Lanes, plus: Callable[[str], str], shift: int = 0) -> tuple[str, str]:
    """Round a number to a whole one, n.

    Parameters
    ----------
    lanes : Lanes
    plus : callable
        Returns the number plus what it is given. The sum's rounding is what rounds: no instruction before SSE4.1 does.
    shift : int
        Added to the exponent of the power.

    Returns
    -------
    n, power : str
        The power is 2^(n + shift), which must be a normal number.
    """
    format_ = FORMATS[lanes.element]
    # The bias rides along, so that shifting the sum's low bits into the exponent field gives the power at once.
    magic = lanes.constant(format_.magic + format_.bias + shift)
    total = plus(magic)
    power = lanes.from_bits(lanes.int_op("shl", lanes.bits(total), lanes.integer(format_.mantissa_bits)))
    return lanes.sub(total, magic), power


def scaled_rest(lanes: Lanes, x: str, unit: float, *, shift: int = 0) -> tuple[str, str, str]:
    """Split x into ``n (unit ln(2)) + r``, n whole and r small.

    Parameters
    ----------
    lanes : Lanes
    x : str
        Finite, and so far from overflow that the scale is a normal number.
    unit : float
        A power of two, perhaps negative.
    shift : int
        Added to the exponent of the scale.

    Returns
    -------
    n, r, scale : str
        |r| is half a unit of ln(2), or a little more where x / (unit ln(2)) rounded; scale is 2^(n + shift).
    """
    format_ = FORMATS[lanes.element]
    n, scale = rounded_power(lanes, functools.partial(lanes.fma, x, lanes.constant(1 / math.log(2) / unit)), shift)
    rest = lanes.fma(n, lanes.constant(-format_.ln2_high * unit), x)
    return n, lanes.fma(n, lanes.constant(-format_.ln2_low * unit), rest), scale


def reciprocal(lanes: Lanes, scale: str) -> str:
    """Return 1 / scale of a power of two: its exponent field mirrored."""
    format_ = FORMATS[lanes.element]
    twice_bias = lanes.integer(2 * format_.bias << format_.mantissa_bits)
    return lanes.from_bits(lanes.int_op("sub", twice_bias, lanes.bits(scale)))
