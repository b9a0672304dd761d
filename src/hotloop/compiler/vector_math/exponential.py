"""The exponential function."""

from __future__ import annotations

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.vector_math.common import at_least, at_most, exactly, polynomial, scaled_rest

__all__ = ["EXP_LIMITS", "EXP_TAIL", "exp"]

# (exp(r) - 1 - r) / r^2 for |r| <= ln(2); relative error of exp(r): 2^-25.4 and 2^-55.9.
EXP_TAIL = {
    "f32": (0.50000036, 0.16666616, 0.041661166, 0.008335904, 0.0014106373, 0.00019637783),
    "f64": (
        0.4999999999999993,
        0.16666666666666935,
        0.041666666666702025,
        0.008333333333270052,
        0.001388888888358416,
        0.00019841269892687858,
        2.4801590826520204e-05,
        2.7557300676636385e-06,
        2.75561587796601e-07,
        2.505503047970133e-08,
        2.1062273177113663e-09,
        1.593567286256666e-10,
    ),
}

# Below the first, exp rounds to 0; above the second, to infinity.
EXP_LIMITS = {"f32": (-104.0, 89.0), "f64": (-746.0, 710.0)}


@exactly
def exp(lanes: Lanes, x: str) -> str:
    """Return exp(x).

    Notes
    -----
    With m whole and r small, ``x = 2 m ln(2) + r`` and ``exp(x) = 2^m 2^m exp(r)``. Steps of 2 ln(2) cost one more
    coefficient than steps of ln(2), but then one factor, used twice, reaches from the smallest subnormal number to the
    largest: the first product is exact, and the second rounds once, to a subnormal number or infinity where it must.
    """
    low, high = EXP_LIMITS[lanes.element]
    _, r, scale = scaled_rest(lanes, at_most(lanes, at_least(lanes, x, low), high), unit=2.0)
    slope = polynomial(lanes, r, (1.0, *EXP_TAIL[lanes.element]))
    # 2^m (1 + r slope): scaling r rather than the sum takes the product out of the chain.
    return lanes.mul(lanes.fma(lanes.mul(r, scale), slope, scale), scale)
