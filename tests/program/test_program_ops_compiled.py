"""Each op in machine code gives what the interpreter gives: at each level, in both precisions, at odd sizes.

Compiling is what takes time here. So each op has one of the twelve sizes for each level and precision, another one
than its neighbours: over all ops every size comes up on each level. The levels below the host's are slow tests.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from op_cases import CASES, OpCase, program_around

from hotloop.compiler.compiled import Rows
from hotloop.compiler.elementwise import EMITTERS
from hotloop.compiler.pipeline import compile_program
from hotloop.compiler.target import TARGET_NAMES, named_target
from hotloop.engines.compiled_steps import Batching, CompiledSteps, UpdateRule
from hotloop.program.build import BlockBuilder, apply
from hotloop.program.gradients import gradients
from hotloop.program.interpret import interpret_block, interpret_values
from hotloop.program.ops import OPS
from hotloop.program.optimizers import Sgd, write_update
from hotloop.program.program import Program
from hotloop.program.types import ROWS, Axis, Type

LEVELS = [name for name in TARGET_NAMES if named_target(name).runs_here]
DTYPES = {"f32": np.float32, "f64": np.float64}
# Of the largest number: a sum over 65 rows in another order, through vector maths of an ulp or two.
TOLERANCES = {"f32": 4e-6, "f64": 1e-13}
ROWS_TRIED, FEATURES_TRIED = (1, 7, 65), (1, 3, 17, 45)

MACHINES = [(level, element) for level in LEVELS for element in DTYPES]


@pytest.fixture(autouse=True)
def nothing_is_cached(monkeypatch):
    monkeypatch.setenv("HOTLOOP_NO_CACHE", "1")


def size_of(case: OpCase, level: str, element: str) -> tuple[int, int]:
    number = list(CASES).index(str(case)) + 2 * LEVELS.index(level) + 7 * (element == "f64")
    return ROWS_TRIED[number % 3], FEATURES_TRIED[number % 4]


def test_all_sizes_come_up():
    for level in LEVELS:
        for element in DTYPES:
            assert len({size_of(case, level, element) for case in CASES.values()}) == 12


def each_case_and_machine():
    for name, case in CASES.items():
        for level, element in MACHINES:
            is_quick = level == LEVELS[-1]
            yield pytest.param(
                case, level, element, id=f"{name} {level} {element}", marks=[] if is_quick else pytest.mark.slow
            )


@pytest.mark.parametrize(("case", "level", "element"), list(each_case_and_machine()))
def test_compiled_code_against_the_interpreter(case, level, element):
    n_rows, n_features = size_of(case, level, element)
    program = program_around(case, element, n_features)
    x, y, weights = numbers(n_rows, n_features, DTYPES[element])
    # Other rows are evaluated by code of its own; that takes as long to compile again.
    program = program if element == "f64" else replace(program, evaluation=None)
    data = {"x": x, "y": y, **weights}
    expected = interpret_block(program.step, data)
    steps = session(program, level, Rows(x, y), weights)
    if program.evaluation is not None:
        check("evaluation", [steps.evaluate()], interpret_block(program.evaluation, data)["loss"], element)
    check("loss", advance(steps, 0), expected["loss"], element)
    for name in program.updates[0].weights:
        place, size = steps.compiled.layout.weights[name], weights[name].size
        found = steps.memory.gradients[place : place + size]
        check(f"gradient of {name}", found, expected[f"gradient of {name}"], element)


def numbers(n_rows: int, n_features: int, dtype: type):
    random = np.random.default_rng(n_rows * 1000 + n_features)
    shapes = {"w": (n_features,), "v": (5, n_features)}
    weights = {name: random.uniform(-1, 1, shape).astype(dtype) for name, shape in shapes.items()}
    x = random.uniform(-1.5, 1.5, (n_rows, n_features)).astype(dtype)
    return x, random.integers(0, max(n_features, 2), n_rows), weights


def session(program: Program, level: str, rows: Rows, weights, batch_size: int | None = None) -> CompiledSteps:
    """Return the compiled program over rows, which also are those of the evaluation."""
    target = named_target(level)
    n_rows = len(rows)
    batching = Batching(
        batch_size=batch_size or n_rows,
        steps_per_epoch=-(-n_rows // (batch_size or n_rows)),
        is_shuffled=False,
        is_full=batch_size is None,
        seed=0,
    )
    shape = batching.shape(n_rows, target.lanes(program.element))
    compiled = compile_program(program, shape, target, keeps_gradients=True)
    steps = CompiledSteps(compiled, {}, rows, rows if program.evaluation else None, batching)
    for name, values in weights.items():
        steps.memory.weight(name)[:] = values.reshape(-1)
    return steps


def advance(steps: CompiledSteps, step: int) -> np.ndarray:
    """Do one step with the learning rate 0."""
    return steps.advance(step, 1, [UpdateRule(Sgd(), 0, 0)], np.zeros((1, 1)))


def check(what: str, found, expected, element: str) -> None:
    expected = np.asarray(expected, np.float64).reshape(-1)
    scale = np.abs(expected).max(initial=0.0) + 1.0
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCES[element] * scale, err_msg=what)


# -- numbers at the ends -------------------------------------------------------------------------------------------

_ENDS = [0.0, -0.0, 1.0, -1.0, 0.5, 30.0, -30.0, 1e-30, -1e-30, 1e4, -1e4, np.inf, -np.inf, np.nan]
_OF_TWO = ("add", "sub", "mul", "div", "max", "min", "less", "less_equal", "equal")
_ELEMENTWISE = [name for name, op in OPS.items() if op.kind == "elementwise" and name not in ("select", "to_real")]


def test_every_elementwise_op_is_emitted():
    assert set(EMITTERS) == {name for name, op in OPS.items() if op.kind == "elementwise"}


@pytest.mark.parametrize(("level", "element"), MACHINES)
@pytest.mark.parametrize("op", _ELEMENTWISE)
def test_numbers_at_the_ends(op, level, element):
    """Each pair of numbers is a batch of its own: its loss is the op's result."""
    pairs = np.array([(a, b) for a in _ENDS for b in (_ENDS if op in _OF_TWO else [1.0])], DTYPES[element])
    program = program_of_a_pair(op, element)
    rows, ones = Rows(pairs, np.zeros(len(pairs), np.int64)), {"w": np.ones(1, DTYPES[element])}
    steps = session(program, level, rows, ones, batch_size=1)
    losses = []
    for step in range(len(pairs)):
        # No learning rate is small enough for a gradient that is infinite.
        steps.memory.weights[:] = 1.0
        losses += advance(steps, step).tolist()
    by_name = interpret_values(program.step, {"x": pairs, "y": rows.y, **ones})
    expected = by_name[next(item.name for item in program.step.operations if item.op == op)].ravel()
    agree = np.isclose(losses, expected, rtol=16 * np.finfo(DTYPES[element]).eps, atol=0, equal_nan=True)
    differ = [f"{pairs[at]}: {losses[at]}, not {expected[at]}" for at in np.flatnonzero(~agree)]
    assert not differ, "\n".join(differ)


def program_of_a_pair(op: str, element: str) -> Program:
    block = BlockBuilder(element)
    x = block.input("x", Type(element, (ROWS, Axis("features", 2))), "data")
    block.input("y", Type("i64", (ROWS,)), "data")
    w = block.input("w", Type(element, (Axis("one", 1),)), "weight")
    a, b = (apply("cut", x, axis=Axis("one", 1), start=start) for start in (0, 1))
    result = apply(op, *((a, b) if op in _OF_TWO else (a,)))
    if result.type.element == "bool":
        result = apply("to_real", result, element=element)
    loss = (result * w).sum("one").sum("rows")
    block.output("loss", loss)
    (gradient,) = gradients(block, loss, [w])
    block.output("gradient of w", gradient)
    return Program(block.finish(), (write_update(Sgd(), ("w",), 1, element, clips=False),))


@pytest.mark.parametrize(("level", "element"), MACHINES)
def test_gradients_of_few_rows_and_many_features(level, element):
    """Lanes are features there, and their vectors come in loops."""
    program = replace(program_around(CASES["contract"], element, 150), evaluation=None)
    x, y, weights = numbers(3, 150, DTYPES[element])
    steps = session(program, level, Rows(x, y), weights)
    advance(steps, 0)
    expected = interpret_block(program.step, {"x": x, "y": y, **weights})["gradient of v"]
    place = steps.compiled.layout.weights["v"]
    check("gradient of v", steps.memory.gradients[place : place + 750], expected, element)
