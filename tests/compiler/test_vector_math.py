"""Vector functions against NumPy and torch, at each instruction set that the host has."""

import functools
import math
import re

import numpy as np
import pytest
from vector_code import REAL, Compiled, errors, host_levels, true_values

from hotloop.compiler import vector_math
from hotloop.compiler.lanes import Lanes

WIDTHS = {
    "f32": {"avx512": 16, "avx2": 8, "sse4": 4, "sse2": 4},
    "f64": {"avx512": 8, "avx2": 4, "sse4": 2, "sse2": 2},
}
# In units of the last place. Where long double is no wider than double, the truth is off by one such unit itself.
LIMITS = {"f32": 2.0, "f64": 2.0 if np.finfo(np.longdouble).nmant > 52 else 3.0}
KINDS = [(element, level, WIDTHS[element][level]) for element in ("f32", "f64") for level in host_levels()]
# Other widths than the machine's, and scalars.
KINDS += [("f32", level, width) for level in host_levels()[:1] for width in (1, 2, 4, 8)]
KINDS += [("f64", level, width) for level in host_levels()[:1] for width in (1, 2, 4, 16)]


# Those for operands that a program promises to be harmless have a test of their own.
NARROW = {"exp_up_to_zero": "exp", "log_from_one": "log"}
NAMES = sorted(set(vector_math.__all__) - set(NARROW))
SPECIAL = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0]


def samples(element):
    """Numbers of every exponent and both signs, then where functions bend, then ends of their ranges and steps."""
    real, random = REAL[element], np.random.default_rng(0)
    info = np.finfo(real)
    integer = np.uint32 if element == "f32" else np.uint64
    exponents = np.arange(2 ** (info.bits - 1 - info.nmant) - 1, dtype=integer) << info.nmant
    mantissas = random.integers(0, 2**info.nmant, ((64 if element == "f32" else 12), exponents.size), dtype=integer)
    mantissas[0], mantissas[1] = 0, 2**info.nmant - 1
    every = (exponents + mantissas).ravel().view(real)
    wide = 110 if element == "f32" else 760
    bends = [random.uniform(-limit, limit, 10_000) for limit in (1, 4, 20, wide)] + [random.uniform(0.4, 2.5, 10_000)]
    edges = []
    for edge in np.log(np.array([info.max, info.smallest_normal, np.longdouble(info.smallest_subnormal) / 2])):
        near = np.nextafter(real(edge), real(0))
        for _ in range(8):
            edges.append(near)
            near = np.nextafter(near, real(2 * float(edge)))
    # Where a range reduction comes to its next step, a result may lie just below a power of two: errors weigh twice.
    steps = (np.arange(-600, 520) * np.log(np.longdouble(2)) / 4).astype(real)
    steps = (steps.view(integer)[:, None] + np.arange(-16, 16).astype(integer)).ravel().view(real)
    return np.concatenate([every, -every, *(bend.astype(real) for bend in bends), np.array(edges, real), steps])


@functools.cache
def compiled(name, element, level, width, looks_up=False):
    return Compiled(getattr(vector_math, name), element, width, level, looks_up=looks_up)


# The kinds with and without tables, where the target has an instruction for them.
NARROW_KINDS = [(*kind, False) for kind in KINDS]
NARROW_KINDS += [(*kind, True) for kind in KINDS if kind == ("f32", "avx512", 16)]


@pytest.fixture(scope="module")
def truth():
    """What each function should give for the samples, in a wider type."""
    known = {}

    def of(name, element):
        if (name, element) not in known:
            wider = np.float64 if element == "f32" else np.longdouble
            known[name, element] = true_values(name, samples(element).astype(wider))
        return known[name, element]

    return of


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("element", "level", "width"), KINDS)
def test_vector_function_is_close_to_the_truth(name, element, level, width, truth):
    values = samples(element)
    off = errors(compiled(name, element, level, width)(values), truth(name, element))
    worst = np.argmax(off)
    assert off[worst] <= LIMITS[element], f"{off[worst]} ulp at {values[worst]!r}"


@pytest.mark.parametrize(("element", "level", "width"), [kind for kind in KINDS if kind[0] == "f32"])
def test_softplus_where_most_roundings_add_up(element, level, width):
    values = np.random.default_rng(0).uniform(-0.06, 0.06, 400_000).astype(np.float32)
    truth = true_values("softplus", values.astype(np.float64))
    off = errors(compiled("softplus", element, level, width)(values), truth)
    assert off.max() <= LIMITS[element]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("element", "level", "width"), KINDS)
def test_vector_function_of_special_values(name, element, level, width):
    values = np.array(SPECIAL, REAL[element])
    results = compiled(name, element, level, width)(values)
    expected = true_values(name, values.astype(np.longdouble)).astype(REAL[element])
    np.testing.assert_array_max_ulp(results, expected, 2)
    if name in ("expm1", "tanh", "erf"):
        assert list(np.signbit(results[:2])) == [False, True]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("element", "level", "width"), KINDS)
def test_vector_function_calls_nothing(name, element, level, width):
    assembly = compiled(name, element, level, width).assembly
    assert not re.search(r"^\s*call", assembly, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("element", ["f32", "f64"])
def test_vector_function_is_straight_exact_code(name, element):
    lanes = Lanes(element, 8)
    getattr(vector_math, name)(lanes, "%x")
    assert not lanes.exact
    text = "\n".join(lanes.lines)
    assert set(re.findall(r"@llvm\.(\w+)", text)) <= {"fmuladd", "fabs", "copysign"}
    assert not re.search(r"\b(br|contract|nsz|reassoc)\b", text)


@pytest.mark.parametrize(("name", "low", "high"), [("exp_up_to_zero", -86.6, 0.0), ("log_from_one", 1.0, 1e37)])
@pytest.mark.parametrize(("element", "level", "width", "looks_up"), NARROW_KINDS)
def test_narrow_functions_are_close_to_the_truth_where_they_may_be_used(
    name, low, high, element, level, width, looks_up
):
    values = samples(element)
    values = values[(values >= low) & (values <= high)]
    wider = np.float64 if element == "f32" else np.longdouble
    narrow = compiled(name, element, level, width, looks_up)
    off = errors(narrow(values), true_values(NARROW[name], values.astype(wider)))
    worst = np.argmax(off)
    assert off[worst] <= LIMITS[element], f"{off[worst]} ulp at {values[worst]!r}"
    assert np.isnan(narrow(np.array([math.nan], REAL[element]))).all()


@pytest.mark.parametrize("kind", [kind for kind in NARROW_KINDS if kind[0] == "f32"])
def test_exp_up_to_zero_vanishes_far_below(kind):
    values = np.array([-87.0, -1e3, -1e30, -math.inf], np.float32)
    results = compiled("exp_up_to_zero", *kind)(values)
    assert (results >= 0).all()
    assert (results < 3e-38).all()
