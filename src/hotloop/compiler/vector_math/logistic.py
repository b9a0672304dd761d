"""Functions of neural networks made of exponentials: tanh, sigmoid and softplus."""

from __future__ import annotations

import functools
import math

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.vector_math.common import (
    FORMATS,
    at_least,
    at_most,
    exactly,
    polynomial,
    rounded_power,
    scaled_rest,
)
from hotloop.compiler.vector_math.exponential import EXP_LIMITS, EXP_SHORT_TAIL, less_one

__all__ = ["sigmoid", "softplus", "tanh"]

# (tanh(r) - r) / r^3 as a polynomial in r^2 for |r| <= 3/8 ln(2); relative error of tanh(r): 2^-27.9 and 2^-63.5.
_TANH_TAIL = {
    "f32": (
        -0.33333215,
        0.13322689,
        -0.051225368,
    ),
    "f64": (
        -0.33333333333333326,
        0.133333333333297,
        -0.05396825396218056,
        0.0218694880484005,
        -0.008863213948721782,
        0.0035915723853944797,
        -0.001447517833748965,
        0.0005224234454875167,
    ),
}

# (log(1 + y) - y) / y^2 for 0 <= y <= 1; relative error of log(1 + y): 2^-27.4 and 2^-56.3.
_LOG1P_TAIL = {
    "f32": (
        -0.4999993,
        0.33330464,
        -0.24958019,
        0.19692102,
        -0.15345024,
        0.106619835,
        -0.05747568,
        0.020103332,
        -0.0032962356,
    ),
    "f64": (
        -0.49999999999999906,
        0.33333333333314297,
        -0.2499999999864881,
        0.19999999950882072,
        -0.16666665586070886,
        0.14285698458411664,
        -0.12499835881801463,
        0.11109854001464803,
        -0.09992664290467686,
        0.09057534562177058,
        -0.08212806496327471,
        0.07341771912189186,
        -0.06311547893401374,
        0.05039884304301698,
        -0.035885970601479814,
        0.021815446962155188,
        -0.010812408279656136,
        0.004141870724508263,
        -0.0011402820131047062,
        0.00019956986003808917,
        -1.660985274739385e-05,
    ),
}

# From here on, tanh rounds to 1, and so does the quotient below.
_TANH_LIMIT = {"f32": 10.0, "f64": 20.0}

# Where sigmoid rounds to 0, where it is 1 already, and how far exponents are shifted to keep exp(-x) finite.
_SIGMOID_LIMITS = {"f32": (-104.0, 30.0, -24), "f64": (-746.0, 60.0, -60)}


@exactly
def tanh(lanes: Lanes, x: str) -> str:
    """Return tanh(x).

    Notes
    -----
    For x not negative, with n whole and r small, ``x = n ln(2)/2 + r``. As tanh(n ln(2)/2) = (2^n - 1) / (2^n + 1), the
    addition theorem gives, with t = tanh(r),

        ``tanh(x) = N / (N + 2 - 2 t)``,  ``N = (2^n - 1) + (2^n + 1) t``.

    For n = 0 the quotient is 2 t / 2 and exact; for large n the rounding of N cancels. Between, errors weigh most where
    the result lies just below 1/4. So n is what is nearest to 1/4 less than x / (ln(2)/2): then n = 0 up to there.
    """
    size = at_most(lanes, lanes.abs(x), _TANH_LIMIT[lanes.element])
    steps = lanes.fma(size, lanes.constant(2.0 / math.log(2)), lanes.constant(-0.25))
    n, power = rounded_power(lanes, functools.partial(lanes.add, steps))
    r = lanes.fma(n, lanes.constant(-0.5 * math.log(2)), size)
    square = lanes.mul(r, r)
    bend = lanes.mul(square, polynomial(lanes, square, _TANH_TAIL[lanes.element]))
    t = lanes.fma(bend, r, r)
    one, two = lanes.constant(1.0), lanes.constant(2.0)
    above = lanes.fma(lanes.add(power, one), t, lanes.sub(power, one))
    below = lanes.add(above, lanes.fma(t, lanes.constant(-2.0), two))
    return lanes.copysign(lanes.div(above, below), x)


@exactly
def sigmoid(lanes: Lanes, x: str) -> str:
    """Return 1 / (1 + exp(-x)).

    Notes
    -----
    With n whole and r small, ``-x = n ln(2) - r``. Numerator and denominator are both multiplied by a constant
    K = 2^shift, so that the denominator does not overflow and the division rounds to a subnormal number where it must:

        ``K / (K + 2^n K exp(-r))``,  ``exp(-r) = 1 + r slope(r)``.

    An error of the denominator weighs twice where the quotient lies just below a power of two. So K + 2^n K is added
    first, what that sum lost is put back into the small term, and all the rest is one rounding.
    """
    low, high, shift = _SIGMOID_LIMITS[lanes.element]
    _, r, scale = scaled_rest(lanes, at_most(lanes, at_least(lanes, x, low), high), unit=-1.0, shift=shift)
    tail = [coefficient * (-1) ** power for power, coefficient in enumerate(EXP_SHORT_TAIL[lanes.element])]
    slope = polynomial(lanes, r, (-1.0, *tail))
    top = lanes.constant(2.0**shift)
    ends = lanes.add(scale, top)
    # The slope is close to -1, and what is lost is tiny.
    lost = lanes.sub(lanes.sub(ends, scale), top)
    return lanes.div(top, lanes.fma(lanes.fma(r, scale, lost), slope, ends))


@exactly
def softplus(lanes: Lanes, x: str) -> str:
    """Return log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)).

    Notes
    -----
    -|x| is not positive, which is half the range of exponents: with a fixed factor of 2^shift, steps of ln(2) reach
    down to subnormal numbers. With n whole and r small, ``-|x| = n ln(2) + r``. The exponential is y, rounded, and a
    rest that rounding took:

        ``y + rest = 2^n + 2^n (exp(r) - 1)``,  ``log(1 + y + rest) = y + y^2 tail(y) + rest / (1 + y)``.

    The rest matters most where y is close to 1, so half of it is put back. It and the other lesser terms are added
    first, y last; where max(x, 0) is the greatest, y no longer weighs much.
    """
    format_ = FORMATS[lanes.element]
    below = at_least(lanes, lanes.neg(lanes.abs(x)), EXP_LIMITS[lanes.element][0])
    shift = format_.mantissa_bits + 7
    _, r, scale = scaled_rest(lanes, below, unit=1.0, shift=shift)
    bend = less_one(lanes, r, EXP_SHORT_TAIL[lanes.element])
    power = lanes.fma(bend, scale, scale)
    # The difference is exact: the power is no further than a factor of two from its scale.
    rest = lanes.fma(bend, scale, lanes.sub(scale, power))
    small = lanes.mul(power, lanes.constant(2.0**-shift))
    tail = polynomial(lanes, small, _LOG1P_TAIL[lanes.element])
    linear = lanes.fma(rest, lanes.constant(0.5 * 2.0**-shift), at_least(lanes, x, 0.0))
    return lanes.add(lanes.fma(lanes.mul(small, small), tail, linear), small)
