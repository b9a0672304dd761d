"""Plans that are broken in one way each are found, and the message says which pass and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotloop.capture import capture_network
from hotloop.compiler import pipeline
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.pipeline import lower, passes
from hotloop.compiler.plan import Plan
from hotloop.compiler.target import named_target
from hotloop.compiler.verify_plan import InvalidPlan, _verify_places, verify_plan
from hotloop.errors import CompilerError
from hotloop.program.build import BlockBuilder, apply
from hotloop.program.gradients import gradients
from hotloop.program.network import Network
from hotloop.program.optimizers import Sgd, write_update
from hotloop.program.program import Program
from hotloop.program.types import ROWS, Axis, Type

TARGET = named_target("avx512")
ROWS_OF_LESSON = RowsShape.of(120, None, 16)


@pytest.fixture(scope="module")
def program() -> Program:
    network = Network.mlp(4, (10,), 3)
    return capture_network(network, task="classification", class_weight=None, rule=Sgd(), has_validation=True)[0]


@pytest.fixture
def plan(program) -> Plan:
    return lower(program, ROWS_OF_LESSON, TARGET)


def with_phase(plan: Plan, number: int = 0, **changes) -> Plan:
    phases = list(plan.step.phases)
    phases[number] = replace(phases[number], **changes)
    return replace(plan, step=replace(plan.step, phases=tuple(phases)))


def with_kernel(plan: Plan, number: int, **changes) -> Plan:
    kernels = list(plan.step.phases[0].kernels)
    kernels[number] = replace(kernels[number], **changes)
    return with_phase(plan, kernels=tuple(kernels))


def with_step(plan: Plan, **changes) -> Plan:
    return replace(plan, step=replace(plan.step, **changes))


def moved(plan: Plan) -> Plan:
    """The second kernel before the first, which it needs."""
    first, second, *others = plan.step.phases[0].kernels
    return with_phase(plan, kernels=(second, first, *others))


def swapped_in_a_kernel(plan: Plan) -> Plan:
    kernel = plan.step.phases[0].kernels[0]
    product, addition, largest = kernel.operations
    return with_kernel(plan, 0, operations=(product, largest, addition))


def sum_used_in_its_own_loop(plan: Plan) -> Plan:
    """Subtracting the largest logit in the loop that is still looking for it."""
    kernels = plan.step.phases[0].kernels
    joined = replace(kernels[1], operations=(*kernels[1].operations, *kernels[2].operations))
    return with_phase(plan, kernels=(kernels[0], joined, *kernels[3:]))


def sharing(plan: Plan) -> Plan:
    hidden, gradient = "max.1", "select.4"
    return with_step(plan, places={**plan.step.places, gradient: plan.step.places[hidden]})


def over_an_input(plan: Plan) -> Plan:
    return with_step(plan, places={**plan.step.places, "max.1": 1})


BROKEN = {
    "max.1 stands in 0 loops": lambda plan: with_kernel(
        plan, 0, operations=plan.step.phases[0].kernels[0].operations[:2]
    ),
    "count.1 stands in 2 loops": lambda plan: with_phase(
        plan, 1, once=(*plan.step.phases[0].once, *plan.step.phases[1].once)
    ),
    "sum.3.2 stands in 0 loops": lambda plan: with_phase(plan, row_sums=plan.step.phases[0].row_sums[:1]),
    "sum.5 stands in 0 loops": lambda plan: with_phase(
        plan, reductions=tuple(replace(item, beside=None) for item in plan.step.phases[0].reductions)
    ),
    "count.1 is no operation of the block": lambda plan: with_phase(
        plan, once=tuple(replace(item, attributes=()) for item in plan.step.phases[0].once)
    ),
    "constant.1 needs no loop, and stands in 1": lambda plan: with_phase(
        plan, once=(*plan.step.phases[0].once, plan.step.made_by["constant.1"])
    ),
    "contract.2 takes max.1, which is not known by then": moved,
    "max.1 takes add.1, which is not known by then": swapped_in_a_kernel,
    "sub.1 takes largest.1, which is not known by then": sum_used_in_its_own_loop,
    "nothing, the loss, is never known": lambda plan: with_step(
        plan, block=replace(plan.step.block, outputs=(("loss", "nothing"),))
    ),
    "a tile of 4 x 7 needs 33 of 32 registers": lambda plan: with_kernel(plan, 0, tile=7),
    "a tile of 11 in a loop over 10": lambda plan: with_kernel(plan, 0, tile=11),
    "contract.4: a tile of 3 x 9 needs 34 of 32 registers": lambda plan: with_phase(
        plan, reductions=tuple(replace(item, tile=(3, 9)) for item in plan.step.phases[0].reductions)
    ),
    "share a place, and both are needed": sharing,
    "x and max.1 share a place|y and max.1 share a place|max.1 and [xy] share": over_an_input,
    "select.4 is kept, and has no place": lambda plan: with_step(
        plan, places={name: place for name, place in plan.step.places.items() if name != "select.4"}
    ),
    "lies outside the frame": lambda plan: with_step(plan, frame_features=plan.step.frame_features - 1),
    "the transpose of x and x share a place, and both are needed": lambda plan: with_step(plan, transposed={"x": 1}),
    "the transpose of x lies outside": lambda plan: with_step(plan, transposed={"x": plan.step.frame_features}),
    "a tile of 15 x 2 needs 33 of 32 registers": lambda plan: with_phase(
        plan,
        reductions=tuple(
            replace(item, tile=(15, 2), lanes_are_features=True) for item in plan.step.phases[0].reductions
        ),
    ),
    "x must be zero beyond the last row, and nothing writes it": lambda plan: with_step(plan, masked=frozenset({"x"})),
    "add.3 is summed over rows, and not kept": lambda plan: with_step(plan, kept=plan.step.kept - {"add.3"}),
}


@pytest.mark.parametrize("said", BROKEN)
def test_broken_plans_are_found(plan, said):
    verify_plan(plan, TARGET)
    # Operations that the first check misses would hide what the others find.
    with pytest.raises(InvalidPlan, match=said):
        verify_plan(BROKEN[said](plan), TARGET)


def test_evaluations_are_looked_at_too(plan):
    broken = replace(plan, evaluation=replace(plan.evaluation, rows_at_once=100))
    with pytest.raises(InvalidPlan, match=r"evaluation: contract\.1: a tile of 100 x"):
        verify_plan(broken, TARGET)


def test_rows_in_chunks_are_needed_once(program):
    plan = lower(program, RowsShape.of(10_000, None, 16), TARGET)
    assert plan.step.is_chunked
    first, second = plan.step.phases
    later = replace(second, kernels=first.kernels[1:], row_sums=first.row_sums, reductions=first.reductions)
    phases = (replace(first, kernels=first.kernels[:1], row_sums=(), reductions=()), later)
    with pytest.raises(InvalidPlan, match="rows that come in chunks are needed again"):
        verify_plan(with_step(plan, phases=phases), TARGET)


def test_a_transpose_takes_the_place_of_what_nothing_else_needs():
    network = Network.mlp(16, (32, 20), 2)
    program = capture_network(network, task="classification", class_weight=None, rule=Sgd(), has_validation=False)[0]
    plan = lower(program, RowsShape.of(3200, 32, 16), TARGET)
    transposed, places = dict(plan.step.transposed), plan.step.places
    hidden = [name for name in transposed if name != "x"]
    assert [transposed[name] for name in hidden] == [places[name] for name in hidden] != []
    name = hidden[0]
    shares = f"the transpose of {name} and .* share a place|.* and the transpose of {name} share a place"
    with pytest.raises(InvalidPlan, match=shares):
        verify_plan(with_step(plan, transposed={**transposed, name: places[name] + 1}), TARGET)
    # Another sum reads the value as it is.
    reductions = plan.step.phases[0].reductions
    (own,) = [item for item in reductions if item.operation.operands[-1] == name]
    as_it_is = replace(own, lanes_are_features=False)
    with pytest.raises(InvalidPlan, match=f"the transpose of {name} and {name} share a place"):
        _verify_places(with_phase(plan, reductions=(*reductions, as_it_is)).step, 16)


@pytest.mark.parametrize(("setting", "is_found"), [("1", True), ("0", False)])
def test_the_message_names_the_pass(program, monkeypatch, setting, is_found):
    monkeypatch.setenv("HOTLOOP_VERIFY", setting)

    def choose_too_much(plan, target, rows):
        return with_kernel(plan, 0, tile=9, operations=plan.step.phases[0].kernels[0].operations[:2])

    monkeypatch.setattr(pipeline, "choose_tiles", choose_too_much)
    if not is_found:
        lower(program, ROWS_OF_LESSON, TARGET)
        return
    with pytest.raises(CompilerError) as raised:
        lower(program, ROWS_OF_LESSON, TARGET)
    assert "the pass choose_tiles made an illegal plan" in str(raised.value)
    assert raised.value.why == "step: max.1 stands in 0 loops"
    assert raised.value.see == "HOTLOOP_DUMP=directory keeps the stages"


@pytest.mark.parametrize("level", ["avx512", "avx2", "sse", "neon"])
@pytest.mark.parametrize("n_rows", [1, 7, 65, 5000])
@pytest.mark.parametrize("batch_size", [None, 1, 33])
def test_every_plan_of_the_passes_is_legal(program, level, n_rows, batch_size):
    target = named_target(level)
    for _, stage in passes(program, RowsShape.of(n_rows, batch_size, target.lanes("f32")), target):
        if isinstance(stage, Plan):
            verify_plan(stage, target)


def test_a_value_in_memory_stays_there_for_those_who_could_do_without():
    """Joining needs h in memory; the frozen product comes later, and reads it from there in a loop."""
    block = BlockBuilder("f32")
    x = block.input("x", Type("f32", (ROWS, Axis("features", 4))), "data")
    block.input("y", Type("i64", (ROWS,)), "data")

    def weight(name: str, n_out: int, axis: Axis):
        return block.input(name, Type("f32", (Axis(f"out of {name}".replace(" ", "_"), n_out), axis)), "weight")

    w = weight("w", 16, x.type.features[0])
    h = apply("tanh", apply("contract", x, w, over="features"))
    joined = apply("join", h, x, name="joined")
    v = weight("v", 16, joined.type.features[0])
    side = apply("max", apply("contract", joined, v, over="joined"), 0.0)
    frozen = weight("frozen", 40, h.type.features[0])
    through = apply("max", apply("contract", h, frozen, over=h.type.features[0].name), 0.0)
    loss = side.sum(side.type.features[0].name) + through.sum(through.type.features[0].name)
    loss = loss.sum("rows")
    block.output("loss", loss)
    for value, gradient in zip((w, v), gradients(block, loss, (w, v)), strict=True):
        block.output(f"gradient of {value.name}", gradient)
    program = Program(block.finish(), (write_update(Sgd(), ("w", "v"), 64 + 320, "f32", clips=False),))
    verify_plan(lower(program, RowsShape(16, 1), TARGET), TARGET)
