"""The error function."""

from __future__ import annotations

import functools

from hotloop.compiler.lanes import Lanes
from hotloop.compiler.vector_math.common import at_most, exactly, polynomial, rounded_power

__all__ = ["erf"]

# Where the two formulas meet, and where erf rounds to 1.
_BORDER = 0.92
_LIMIT = {"f32": 4.0, "f64": 6.0}

# erf(x) / x - 1 as a polynomial in x^2 up to the border; relative error of erf: 2^-25.9 and 2^-56.1.
_SMALL = {
    "f32": (
        0.12837915,
        -0.376125,
        0.11281882,
        -0.026768832,
        0.0049962453,
        -0.0006005782,
    ),
    "f64": (
        0.1283791670955126,
        -0.37612638903183715,
        0.11283791670952947,
        -0.02686617064465534,
        0.0052239776200574285,
        -0.0008548326663043445,
        0.00012055317646522286,
        -1.4925219328193447e-05,
        1.6453993289821009e-06,
        -1.6263992555920985e-07,
        1.3985101691916255e-08,
        -8.342397296540157e-10,
    ),
}

# log2(1 - erf(x)) from the border to the limit; relative error of erf: 2^-29.2 and 2^-58.4.
_LOG_REST = {
    "f32": (
        -0.00028232572,
        -1.626892,
        -0.91925967,
        -0.14994173,
        0.032066807,
        -0.0043904926,
        0.00028268617,
    ),
    "f64": (
        -1.2141960135964772e-07,
        -1.627905746630452,
        -0.918454418488244,
        -0.14825115048462273,
        0.027560159643604663,
        0.0003516426194256458,
        -0.0024928858331074687,
        0.0008733809603733844,
        -2.9082704206245516e-05,
        -0.0001210466573221408,
        7.35314330660666e-05,
        -2.6809859564271835e-05,
        7.065867343928197e-06,
        -1.4041348432206342e-06,
        2.1037710289074864e-07,
        -2.316058346324122e-08,
        1.7724756951505037e-09,
        -8.432318661015458e-11,
        1.8783364490654812e-12,
    ),
}

# -2^f for |f| <= 1/2, relative error 2^-22.9 and 2^-51.6; the rest that it stands for is at most a fifth.
_MINUS_POWER = {
    "f32": (
        -1.0000001,
        -0.6931474,
        -0.24021919,
        -0.05549756,
        -0.009684911,
        -0.0013632871,
    ),
    "f64": (
        -1.0,
        -0.6931471805599516,
        -0.24022650695910472,
        -0.05550410866434672,
        -0.009618129107380188,
        -0.0013333558246399872,
        -0.00015403530800012116,
        -1.5252647813577406e-05,
        -1.321523671272228e-06,
        -1.0210492239265371e-07,
        -7.111490454888929e-09,
    ),
}


@exactly
def erf(lanes: Lanes, x: str) -> str:
    """Return erf(x).

    Notes
    -----
    Up to 0.92, ``x + x P(x^2)``; beyond, ``1 - 2^Q(|x|)``: the logarithm of 1 - erf is smooth enough for one
    polynomial, and the closer erf is to 1, the fewer of its digits matter.
    """
    size = lanes.abs(x)
    square = lanes.mul(x, x)
    small = lanes.fma(polynomial(lanes, square, _SMALL[lanes.element]), x, x)
    large = lanes.copysign(_near_one(lanes, at_most(lanes, size, _LIMIT[lanes.element])), x)
    return lanes.select(lanes.compare("olt", size, lanes.constant(_BORDER)), small, large)


def _near_one(lanes: Lanes, size: str) -> str:
    """Return erf beyond the border."""
    logarithm = polynomial(lanes, size, _LOG_REST[lanes.element])
    n, power = rounded_power(lanes, functools.partial(lanes.add, logarithm))
    fraction = lanes.sub(logarithm, n)
    return lanes.fma(polynomial(lanes, fraction, _MINUS_POWER[lanes.element]), power, lanes.constant(1.0))
