"""The exponential function."""

from __future__ import annotations

from collections.abc import Sequence

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.vector_math.common import FORMATS, at_least, at_most, exactly, polynomial, reciprocal, scaled_rest

__all__ = ["EXP_LIMITS", "EXP_SHORT_TAIL", "exp", "expm1", "less_one"]

# (exp(r) - 1 - r) / r^2 for |r| <= ln(2); relative error of exp(r): 2^-25.4 and 2^-55.9. The former were
# moved by a few units of their last place, at random, to where the greatest error of exp as computed was least, with
# FMA and without.
_EXP_TAIL = {
    "f32": (0.50000036, 0.16666609, 0.041661177, 0.008336098, 0.0014105818, 0.00019637196),
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

# (expm1(r) - r) / r^2 for |r| <= ln(2); relative error of expm1(r): 2^-29.1 and 2^-59.8.
_EXPM1_TAIL = {
    "f32": (
        0.5,
        0.16666673,
        0.041666687,
        0.0083325915,
        0.0013887804,
        0.00020099181,
        2.5063859e-05,
    ),
    "f64": (
        0.5,
        0.16666666666666657,
        0.04166666666666663,
        0.008333333333336891,
        0.0013888888888899725,
        0.00019841269836683484,
        2.480158729146728e-05,
        2.7557321972062847e-06,
        2.755732347357509e-07,
        2.5051266257390363e-08,
        2.0875844163508863e-09,
        1.6187110030955711e-10,
        1.1571966539553182e-11,
    ),
}

# The same as above for |r| <= ln(2) / 2: 2^-28.2 and 2^-56.7.
EXP_SHORT_TAIL = {
    "f32": (
        0.49999994,
        0.16666517,
        0.041668102,
        0.008369214,
        0.0013839343,
    ),
    "f64": (
        0.5000000000000011,
        0.16666666666666413,
        0.04166666666652517,
        0.008333333333491367,
        0.0013888888945209625,
        0.00019841269520577882,
        2.4801491151058645e-05,
        2.755756548612248e-06,
        2.763107142246061e-07,
        2.5010120435859503e-08,
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
    bend = less_one(lanes, r, _EXP_TAIL[lanes.element])
    return lanes.mul(lanes.fma(bend, scale, scale), scale)


def less_one(lanes: Lanes, r: str, tail: Sequence[float]) -> str:
    """Return exp(r) - 1 of a small r, as ``r + r^2 tail(r)``.

    ``r (1 + r tail(r))`` takes as many operations, but the sum in brackets is close to 1, and what it loses in rounding
    weighs as much as r. Here what is rounded before the last sum weighs as little as r^2.
    """
    return lanes.fma(polynomial(lanes, r, tail), lanes.mul(r, r), r)


@exactly
def expm1(lanes: Lanes, x: str) -> str:
    """Return exp(x) - 1, precise where x is small.

    Notes
    -----
    As in :func:`exp`, ``x = 2 m ln(2) + r``, and ``exp(x) - 1 = 2^m (2^m expm1(r) + 2^m - 2^-m)``: the outer product
    overflows where it must. Where the sum nearly cancels, at x close to ln(2), r's own rounding would show. Hence r is
    kept as a difference, and its greater part joins 2^m - 2^-m without rounding.
    """
    low, high = EXP_LIMITS[lanes.element]
    inside = at_most(lanes, at_least(lanes, x, low), high)
    n, r, scale = scaled_rest(lanes, inside, unit=2.0)
    format_ = FORMATS[lanes.element]
    greater = lanes.fma(n, lanes.constant(-2.0 * format_.ln2_high), inside)
    lesser = lanes.mul(n, lanes.constant(-2.0 * format_.ln2_low))
    bend = lanes.fma(lanes.mul(r, r), polynomial(lanes, r, _EXPM1_TAIL[lanes.element]), lesser)
    constant = lanes.sub(scale, reciprocal(lanes, scale))
    total = lanes.fma(bend, scale, lanes.fma(greater, scale, constant))
    # The sign of zero is the only one that this changes.
    return lanes.copysign(lanes.mul(total, scale), x)
