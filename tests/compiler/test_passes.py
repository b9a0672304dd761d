"""Each pass on programs of a few lines: what goes in, and what comes out."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest

from hotloop.compiler.across_lanes import sums_across
from hotloop.compiler.choose_tiles import RowsShape, _best_tile, _n_folds, choose_tiles
from hotloop.compiler.eliminate import eliminate
from hotloop.compiler.fold import fold
from hotloop.compiler.fuse_elementwise import fuse_elementwise
from hotloop.compiler.lanes import Lanes
from hotloop.compiler.pipeline import lower
from hotloop.compiler.plan import BlockPlan, View
from hotloop.compiler.target import TARGET_NAMES, named_target
from hotloop.compiler.verify_plan import verify_plan
from hotloop.errors import UnsupportedError
from hotloop.program.build import BlockBuilder, Value, apply
from hotloop.program.interpret import interpret_block
from hotloop.program.program import Program
from hotloop.program.text import parse_program, print_block
from hotloop.program.types import ROWS, Axis, Type
from hotloop.program.verify import verify

INPUTS = """\
step
  data x: f32[rows, features=4]
  data r: f32[rows]
  weight w: f32[h=3, features=4]
  weight s: f32[]
"""


def program(text: str) -> Program:
    """Return a program of these inputs and lines; the last value is the loss."""
    lines = [line.strip() for line in text.strip().splitlines()]
    last = lines[-1].split(":")[0]
    parsed = parse_program(INPUTS + "".join(f"  {line}\n" for line in [*lines, f"loss -> {last}"]))
    verify(parsed)
    return parsed


def lines_after(changed: Program) -> list[str]:
    """Return the operations' lines, and the loss."""
    verify(changed)
    return [line.strip() for line in print_block(changed.step)][4:]


def expect(found: Program, text: str) -> None:
    assert lines_after(found) == [line.strip() for line in text.strip().splitlines()]


# -- fold ------------------------------------------------------------------------------------------------------------

CONSTANT = "c: f32[] = constant() value=2.0 element='f32'"
ONE = "c: f32[] = constant() value=1.0 element='f32'"
FOLDED = {
    "an op of constants": (
        f"{CONSTANT}\nd: f32[] = mul(c, c)\ne: f32[rows, features=4] = mul(x, d)",
        "d: f32[] = constant() value=4.0 element='f32'\ne: f32[rows, features=4] = mul(x, d)\nloss -> e",
    ),
    "constants in float32": (
        "c: f32[] = constant() value=0.1 element='f32'\nd: f32[] = add(c, c)\ne: f32[rows] = mul(r, d)",
        "d: f32[] = constant() value=0.20000000298023224 element='f32'\ne: f32[rows] = mul(r, d)\nloss -> e",
    ),
    "detach": (
        "d: f32[rows] = detach(r)\ne: f32[rows] = exp(d)",
        "e: f32[rows] = exp(r)\nloss -> e",
    ),
    "neg of neg": (
        "a: f32[rows] = neg(r)\nb: f32[rows] = neg(a)\nc: f32[rows] = exp(b)",
        "c: f32[rows] = exp(r)\nloss -> c",
    ),
    "times 1": (
        f"{ONE}\na: f32[rows] = mul(c, r)\nb: f32[rows] = div(a, c)\nd: f32[rows] = exp(b)",
        "d: f32[rows] = exp(r)\nloss -> d",
    ),
    "plus -0": (
        "c: f32[] = constant() value=-0.0 element='f32'\na: f32[rows] = add(r, c)\nd: f32[rows] = exp(a)",
        "d: f32[rows] = exp(r)\nloss -> d",
    ),
    "not plus 0, which turns -0 into 0": (
        "c: f32[] = constant() value=0.0 element='f32'\na: f32[rows] = add(r, c)",
        "c: f32[] = constant() value=0.0 element='f32'\na: f32[rows] = add(r, c)\nloss -> a",
    ),
    "not 1 divided by": (
        "c: f32[] = constant() value=1.0 element='f32'\na: f32[rows] = div(c, r)",
        "c: f32[] = constant() value=1.0 element='f32'\na: f32[rows] = div(c, r)\nloss -> a",
    ),
    "not times 1 that gives other axes": (
        f"{ONE}\ne: f32[rows] = expand(c) axis=<rows>\na: f32[rows] = mul(s, e)",
        f"{ONE}\ne: f32[rows] = expand(c) axis=<rows>\na: f32[rows] = mul(s, e)\nloss -> a",
    ),
    "neg of an expanded number": (
        "e: f32[rows] = expand(s) axis=<rows>\na: f32[rows] = neg(e)",
        "a.1: f32[] = neg(s)\na: f32[rows] = expand(a.1) axis=<rows>\nloss -> a",
    ),
    "an expanded operand": (
        "e: f32[rows, features=4] = expand(r) axis=<features=4>\na: f32[rows, features=4] = mul(e, x)",
        "a: f32[rows, features=4] = mul(r, x)\nloss -> a",
    ),
    "not an expanded operand that alone has the axis": (
        "e: f32[rows, features=4] = expand(r) axis=<features=4>\na: f32[rows, features=4] = exp(e)",
        "e: f32[rows, features=4] = expand(r) axis=<features=4>\na: f32[rows, features=4] = exp(e)\nloss -> a",
    ),
    "sum of neg": (
        "a: f32[rows, features=4] = neg(x)\nb: f32[rows] = sum(a) over='features'",
        "b.1: f32[rows] = sum(x) over='features'\nb: f32[rows] = neg(b.1)\nloss -> b",
    ),
    "sum of logarithms": (
        "a: f32[rows] = log(r) most=3.0\nb: f32[rows] = sub(a, r)\nc: f32[] = sum(b) over='rows'",
        "c.1: f32[] = sum_log(r) over='rows' most=3.0\nc.2: f32[] = sum(r) over='rows'\nc: f32[] = sub(c.1, c.2)\n"
        "loss -> c",
    ),
    "not of logarithms without a bound": (
        "a: f32[rows] = log(r)\nc: f32[] = sum(a) over='rows'",
        "a: f32[rows] = log(r)\nc: f32[] = sum(a) over='rows'\nloss -> c",
    ),
    "not of logarithms that are used again": (
        "a: f32[rows] = log(r) most=3.0\nc: f32[] = sum(a) over='rows'\nd: f32[rows] = mul(a, c)",
        "a: f32[rows] = log(r) most=3.0\nc: f32[] = sum(a) over='rows'\nd: f32[rows] = mul(a, c)\nloss -> d",
    ),
}


@pytest.mark.parametrize("rule", FOLDED)
def test_fold(rule):
    before, after = FOLDED[rule]
    folded = fold(program(before))
    expect(folded, after)
    given = {"x": [[1, -2, 0.5, 3], [0, 1, 2, 3]], "r": [1.5, -0.0], "w": np.ones((3, 4)), "s": -0.0}
    numbers = {name: np.asarray(value, np.float32) for name, value in given.items()}
    expected, found = (interpret_block(side.step, numbers)["loss"] for side in (program(before), folded))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# -- eliminate -------------------------------------------------------------------------------------------------------


def test_eliminate():
    before = program("""
        a: f32[rows] = exp(r)
        b: f32[rows] = exp(r)
        unused: f32[rows] = mul(a, b)
        c: f32[rows] = add(a, b)
    """)
    expect(eliminate(before), "a: f32[rows] = exp(r)\nc: f32[rows] = add(a, a)\nloss -> c")


def test_eliminate_tells_apart_what_only_looks_alike():
    text = """
        a: f32[] = constant() value=0.0 element='f32'
        b: f32[] = constant() value=-0.0 element='f32'
        c: f32[] = div(a, b)
        d: f32[rows] = exp(r) most=0.0
        e: f32[rows] = exp(r)
        f: f32[rows] = sub(d, e)
        g: f32[rows] = mul(f, c)
    """
    assert eliminate(program(text)) == program(text)


# -- fuse_elementwise ------------------------------------------------------------------------------------------------


def fused(text: str) -> BlockPlan:
    return fuse_elementwise(program(text)).step


def names(plan: BlockPlan) -> list[list[list[str]]]:
    """Return the operations of each kernel of each phase."""
    return [[[operation.name for operation in kernel.operations] for kernel in phase.kernels] for phase in plan.phases]


PRODUCT = "p: f32[rows, h=3] = contract(x, w) over='features'\n"
LOSS = "l: f32[rows] = sum({0}) over='h'\nt: f32[] = sum(l) over='rows'"


def test_fuse_joins_what_goes_over_the_same_features():
    plan = fused(PRODUCT + "a: f32[rows, h=3] = tanh(p)\nb: f32[rows, h=3] = mul(a, r)\n" + LOSS.format("b"))
    assert names(plan) == [[["p", "a", "b", "l"]]]
    assert [operation.name for operation in plan.phases[0].row_sums] == ["t"]


def test_fuse_begins_a_loop_where_a_sum_must_be_known():
    plan = fused(PRODUCT + "m: f32[rows] = largest(p) over='h'\na: f32[rows, h=3] = sub(p, m)\n" + LOSS.format("a"))
    assert names(plan) == [[["p", "m"], ["a", "l"]]]


def test_fuse_lets_operations_sink_to_their_only_user():
    text = """
        a: f32[rows, features=4] = tanh(x)
        b: f32[rows, features=4] = mul(a, a)
        m: f32[rows] = largest(a) over='features'
        c: f32[rows, features=4] = mul(b, m)
        l: f32[rows] = sum(c) over='features'
        t: f32[] = sum(l) over='rows'
    """
    assert names(fused(text)) == [[["a", "m"], ["b", "c", "l"]]]


def test_fuse_keeps_what_would_leave_more_in_memory():
    text = """
        a: f32[rows, features=4] = tanh(x)
        e: f32[rows, features=4] = exp(x)
        b: f32[rows, features=4] = mul(a, e)
        m: f32[rows] = largest(x) over='features'
        c: f32[rows, features=4] = mul(b, m)
        l: f32[rows] = sum(c) over='features'
        t: f32[] = sum(l) over='rows'
    """
    # Two values would be kept in place of the one that is made of them.
    assert names(fused(text)) == [[["a", "e", "b", "m"], ["c", "l"]]]


def test_fuse_repeats_comparisons():
    text = """
        z: f32[] = constant() value=0.0 element='f32'
        q: bool[rows, features=4] = less(z, x)
        a: f32[rows, features=4] = select(q, x, z)
        m: f32[rows] = largest(a) over='features'
        b: f32[rows, features=4] = sub(a, m)
        c: f32[rows, features=4] = select(q, b, z)
        l: f32[rows] = sum(c) over='features'
        t: f32[] = sum(l) over='rows'
    """
    assert names(fused(text)) == [[["q", "a", "m"], ["q", "b", "c", "l"]]]


def test_fuse_waits_for_sums_over_rows():
    text = """
        t: f32[] = sum(r) over='rows'
        u: f32[] = mul(t, s)
        a: f32[rows] = sub(r, u)
        v: f32[] = sum(a) over='rows'
    """
    plan = fused(text)
    assert names(plan) == [[], [["a"]]]
    assert [[operation.name for operation in phase.once] for phase in plan.phases] == [[], ["u"]]


def test_fuse_gives_other_names():
    text = """
        c: f32[rows, part=2] = cut(x) axis=<part=2> start=1
        n: f32[rows, other=2] = rename(c) source='part' target='other'
        d: f32[rows, one=1] = cut(n) axis=<one=1> start=1
        l: f32[rows] = sum(d) over='one'
        t: f32[] = sum(l) over='rows'
    """
    assert fused(text).views == {"c": View("x", 1), "n": View("x", 1), "d": View("x", 2)}


REFUSED = {
    "square_sum over rows": "a: f32[] = square_sum(x)",
    "largest over rows": "a: f32[] = largest(r) over='rows'",
    "products of single numbers": "e: f32[rows] = exp(r)\na: f32[] = contract(r, e) over='rows'",
    "weights of other shapes": "e: f32[h=3] = sum(w) over='features'\na: f32[rows, h=3] = mul(e, r)",
}


@pytest.mark.parametrize("what", REFUSED)
def test_fuse_refuses_what_no_loop_is_for(what):
    with pytest.raises(UnsupportedError, match=r"cannot compile \w+ of f32"):
        fused(REFUSED[what])


def test_fuse_refuses_gradients_that_nothing_computes():
    whole = program("t: f32[] = sum(r) over='rows'")
    for value in ("w", "s"):
        step = replace(whole.step, outputs=(*whole.step.outputs, (f"gradient of {value}", value)))
        with pytest.raises(UnsupportedError, match=f"cannot compile the gradient of {value}"):
            fuse_elementwise(replace(whole, step=step))


# -- choose_tiles and reuse_buffers ----------------------------------------------------------------------------------


def product(n_in: int, n_out: int) -> Program:
    """Return a layer and the gradient of its weights and bias."""
    block = BlockBuilder("f32")
    inside, outside = Axis("inside", n_in), Axis("outside", n_out)
    x = block.input("x", Type("f32", (ROWS, inside)), "data")
    w = block.input("w", Type("f32", (outside, inside)), "weight")
    y = apply("tanh", apply("contract", x, w, over="inside"))
    loss = y.sum("outside").sum("rows")
    block.output("loss", loss)
    block.output("gradient of w", apply("contract", y, x, over="rows"))
    block.output("sum", y.sum("rows"))
    return Program(block.finish(), ())


@pytest.mark.parametrize("level", TARGET_NAMES)
def test_tiles_fit_the_registers_whatever_the_sizes(level):
    target = named_target(level)
    sizes = (1, 2, 3, 5, 8, 13, 31, 64, 100)
    for n_in, n_out in itertools.product(sizes, sizes):
        plan = fuse_elementwise(product(n_in, n_out))
        for n_rows, batch_size in ((1, None), (200, None), (9, 1), (40, 40), (90, 90), (9999, 9999)):
            rows = RowsShape.of(n_rows, batch_size, target.lanes("f32"))
            verify_plan(choose_tiles(plan, target, rows), target)


@pytest.mark.parametrize(("element", "lanes"), [("f32", 4), ("f32", 8), ("f32", 16), ("f64", 2), ("f64", 8)])
def test_folds_are_those_that_adding_up_lanes_writes(element, lanes):
    for n_sums in range(1, 3 * lanes + 1):
        written = Lanes(element, lanes)
        for start in range(0, n_sums, lanes):
            sums_across(written, [f"%x{at}" for at in range(start, min(start + lanes, n_sums))])
        assert _n_folds(n_sums, lanes) == sum("fadd" in line for line in written.lines)


@pytest.mark.parametrize(
    ("sizes", "has_sum", "target", "blocks", "tile"),
    [
        # Whole rows of weights: one run of results a tile, not one for each row.
        ((3, 4), True, (16, 8), 2, (2, 4)),
        ((3, 5), False, (16, 8), 1, (2, 5)),
        # With few rows, sums in half of the registers, which leaves room for adding up their lanes.
        ((10, 4), True, (32, 16), 4, (3, 4)),
    ],
)
def test_tiles_of_gradients_are_quickly_stored(sizes, has_sum, target, blocks, tile):
    n_registers, lanes = target
    assert _best_tile(*sizes, has_sum, n_registers, blocks, lanes)[0] == tile


def random_program(seed: int) -> Program:
    """Return a program of operations that follow each other at random, with a sum over rows at its end."""
    chosen = random.Random(seed)
    block = BlockBuilder("f32")
    sizes = [Axis(f"a{number}", chosen.choice([1, 2, 4, 9, 20])) for number in range(3)]
    known: list[Value] = [block.input("x", Type("f32", (ROWS, sizes[0])), "data")]
    weights = {
        (a, b): block.input(f"w_{a.name}_{b.name}", Type("f32", (b, a)), "weight")
        for a, b in itertools.permutations(sizes, 2)
    }
    for _ in range(chosen.randint(4, 20)):
        known.append(_next_value(chosen, known, sizes, weights))
    total = None
    for value in known[-4:]:
        for axis in value.type.features:
            value = value.sum(axis.name)
        total = value if total is None else total + value
    assert total is not None
    block.output("loss", total.sum("rows"))
    matrices = [value for value in known if value.type.features][-3:]
    for number, (a, b) in enumerate(itertools.pairwise(matrices)):
        if a.type.features != b.type.features:
            block.output(f"product {number}", apply("contract", a, b, over="rows"))
    return Program(block.finish(), ())


def _next_value(chosen: random.Random, known: list[Value], sizes: list[Axis], weights) -> Value:
    value = chosen.choice(known[-5:])
    alike = [other for other in known if other.type == value.type]
    match chosen.randrange(5 if value.type.features else 3):
        case 0 | 1:
            return value * chosen.choice(alike)
        case 2:
            return apply(chosen.choice(["tanh", "exp", "neg"]), value)
        case 3:
            axis = value.type.features[0]
            other = chosen.choice([size for size in sizes if size != axis])
            return apply("contract", value, weights[axis, other], over=axis.name)
        case _:
            return value * apply("largest", value, over=value.type.features[0].name)


# Hundreds of programs through the same lines: counting those would take twice as long again.
@pytest.mark.slow
@pytest.mark.no_cover
@pytest.mark.parametrize("level", ["avx512", "avx2", "neon"])
def test_no_two_values_that_are_needed_share_a_place(level):
    target = named_target(level)
    n_shared = 0
    for seed in range(100):
        whole = eliminate(fold(random_program(seed)))
        for rows in (RowsShape(16, 1), RowsShape(None, 4), RowsShape(None, 64, is_chunked=True)):
            plan = lower(whole, rows, target).step  # raises if a place is shared, see verify_plan
            data = sum(item.type.n_features for item in plan.block.inputs_of("data"))
            n_shared += plan.frame_features < data + sum(plan.type(name).n_features for name in plan.kept)
    assert n_shared > 20, "the test would not notice if nothing were shared"
