"""Each op: the interpreter gives what torch gives, and its gradient rule what finite differences give, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from op_cases import CASES, OpCase

from hotloop.program.build import BlockBuilder, Value
from hotloop.program.gradients import RULES, gradients
from hotloop.program.interpret import interpret_block
from hotloop.program.ops import OPS
from hotloop.program.types import ROWS, Axis, Type

EACH = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
SIZES = [(1, 3), (7, 1), (7, 5)]


def test_every_op_has_a_case_and_a_rule():
    assert {case.op for case in CASES.values()} == set(OPS) == set(RULES)
    assert len(CASES) >= len(OPS)


def draw(case: OpCase, n_rows: int, n_features: int) -> list[np.ndarray]:
    random = np.random.default_rng(n_rows * 100 + n_features)
    return [operand.draw(random, n_rows, n_features) for operand in case.operands]


def of_op(case: OpCase, n_features: int) -> tuple[BlockBuilder, list[Value], Value]:
    """Return a block of the op alone: inputs "in0", "in1", ... and its result."""
    block = BlockBuilder("f64")
    values = [
        block.input(f"in{number}", operand.type(n_features), "weight") for number, operand in enumerate(case.operands)
    ]
    n_taken = 1 if case.op in ("expand",) else len(values)
    return block, values, block.append(case.op, tuple(values[:n_taken]), **case.attributes(n_features))


@EACH
@pytest.mark.parametrize(("n_rows", "n_features"), SIZES)
def test_the_interpreter_against_torch(case, n_rows, n_features):
    block, values, result = of_op(case, n_features)
    block.output("result", result)
    arrays = draw(case, n_rows, n_features)
    found = interpret_block(block.finish(), {value.name: array for value, array in zip(values, arrays, strict=True)})
    expected = case.in_torch(*(torch.from_numpy(array) for array in arrays)) if arrays else case.in_torch(n_features)
    assert found["result"].dtype == expected.numpy().dtype
    np.testing.assert_allclose(found["result"], expected.numpy(), rtol=1e-14, atol=1e-15)


def test_the_number_of_rows():
    block = BlockBuilder("f32")
    block.input("x", Type("f32", (ROWS, Axis("features", 2))), "data")
    block.output("n", block.count())
    assert interpret_block(block.finish(), {"x": np.zeros((5, 2))})["n"] == np.float32(5)


@EACH
@pytest.mark.parametrize(("n_rows", "n_features"), SIZES)
def test_the_gradient_rule_against_finite_differences(case, n_rows, n_features):
    block, values, result = of_op(case, n_features)
    arrays = draw(case, n_rows, n_features)
    inputs = {value.name: array for value, array in zip(values, arrays, strict=True)}
    reals = [value for value in values if value.type.element == "f64"]
    if result.type.element != "f64" or not values:
        assert RULES[case.op](block.operations[-1], result, values, block.constant(1.0)) == [None] * len(values)
        return
    share = block.input("share", result.type, "data")
    total = result * share
    for axis in total.type.axes:
        total = total.sum(axis.name)
    found = gradients(block, total, reals)
    block.output("total", total)
    for value, gradient in zip(reals, found, strict=True):
        if gradient is not None:
            assert gradient.type == value.type
            block.output(f"gradient of {value.name}", gradient)
    finished = block.finish()
    shape = [n_rows if axis == ROWS else axis.size for axis in result.type.axes]
    inputs["share"] = np.random.default_rng(1).uniform(0.5, 2.0, shape)
    computed = interpret_block(finished, inputs)
    for value, gradient in zip(reals, found, strict=True):
        if not case.has_gradient or (case.op == "expand" and value.name == "in1"):
            assert gradient is None
        else:
            expected = differences(finished, inputs, value.name)
            np.testing.assert_allclose(computed[f"gradient of {value.name}"], expected, rtol=1e-6, atol=1e-7)


def differences(block, inputs, name: str, step: float = 1e-6) -> np.ndarray:
    """Return the central differences of the total with respect to each number of an input."""
    slopes = np.zeros(inputs[name].shape)
    for place in np.ndindex(slopes.shape):
        totals = []
        for sign in (1, -1):
            moved = inputs[name].copy()
            moved[place] += sign * step
            totals.append(interpret_block(block, {**inputs, name: moved})["total"])
        slopes[place] = (totals[0] - totals[1]) / (2 * step)
    return slopes


@pytest.mark.parametrize(("op", "side"), [("max", 1), ("min", 1)])
def test_at_a_tie_the_second_operand_gets_the_gradient(op, side):
    block = BlockBuilder("f64")
    pair = [block.input(name, Type("f64"), "weight") for name in "ab"]
    found = gradients(block, block.append(op, tuple(pair)), pair)
    for name, gradient in zip("ab", found, strict=True):
        block.output(name, gradient)
    outputs = interpret_block(block.finish(), {"a": 0.0, "b": -0.0})
    assert [float(outputs[name]) for name in "ab"] == [float(side == 0), float(side == 1)]
