"""Weights that are updated as their gradients are summed: where that is done, and that it changes no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hotloop.capture import capture_network
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.compiled import Memory, Rows
from hotloop.compiler.fuse_updates import fuse_updates
from hotloop.compiler.pipeline import compile_program, lower
from hotloop.compiler.plan import Plan
from hotloop.compiler.target import TARGET_NAMES, host_target, named_target
from hotloop.compiler.verify_plan import InvalidPlan, _verify_places, _verify_updates, verify_plan
from hotloop.engines.compiled_steps import Batching, CompiledSteps, UpdateRule
from hotloop.program.build import BlockBuilder, apply
from hotloop.program.gradients import gradients
from hotloop.program.interpret import interpret_block
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, OptimizerRule, Sgd, write_update
from hotloop.program.program import Input, Program
from hotloop.program.types import ROWS, Axis, Type

TARGET = named_target("avx512")


def program_with(rule: OptimizerRule, hidden: tuple[int, ...] = (10,)) -> Program:
    network = Network.mlp(16, hidden, 3)
    return capture_network(network, task="classification", class_weight=None, rule=rule, has_validation=False)[0]


@pytest.mark.parametrize(
    ("rule", "n_rows", "batch_size", "expected"),
    [
        (Sgd(), 120, None, True),
        (Sgd(), 120, 32, True),
        (Sgd(momentum=0.9, nesterov=True, weight_decay=0.01), 120, 32, True),
        # The code of the update would stand behind every tile of sums.
        (Adam(), 120, 32, False),
        # Sums of the chunks are added up first.
        (Sgd(), 10_000, None, False),
    ],
)
def test_short_updates_of_batches_that_are_done_at_once(rule, n_rows, batch_size, expected):
    plan = lower(program_with(rule), RowsShape.of(n_rows, batch_size, 16), TARGET)
    assert plan.updates_with_sums == expected


def test_a_gradient_that_something_else_needs_is_waited_for():
    plan = lower(program_with(Sgd()), RowsShape.of(120, 32, 16), TARGET)
    step = plan.step
    (weight,) = [item for item in plan.program.weights if item.name == "w0"]
    gradient = dict(step.block.outputs)["gradient of w0"]
    # A weight of the same shape takes the same gradient.
    shared = tuple(
        (meaning, gradient if meaning == "gradient of w1" else value) for meaning, value in step.block.outputs
    )
    broken = replace(plan, step=replace(step, block=replace(step.block, outputs=shared)))
    assert weight.type == step.type(gradient)
    assert not fuse_updates(broken).updates_with_sums
    with pytest.raises(InvalidPlan, match="is that of another weight"):
        verify_plan(broken, TARGET)


def test_it_changes_no_number_and_gradients_can_be_kept():
    random = np.random.default_rng(0)
    rows = Rows(random.normal(size=(50, 16)).astype(np.float32), random.integers(0, 3, 50))
    program = program_with(Sgd(momentum=0.9, weight_decay=0.1), hidden=(19, 32))
    first = random.normal(size=2000).astype(np.float32)
    shape = RowsShape.of(50, None, host_target().lanes("f32"))
    memories = []
    for keeps in (False, True):
        compiled = compile_program(program, shape, keeps_gradients=keeps)
        memory = Memory(compiled, {}, 50)
        memory.weights[:] = first[: memory.weights.size]
        memory.gradients[:] = np.nan
        scalars = np.full((4, compiled.layout.n_scalars), 0.01, dtype=np.float32)
        losses = np.empty(4)
        arguments = memory.arguments(
            rows,
            batch_size=50,
            steps_per_epoch=1,
            n_steps=4,
            n_gathered=1,
            scalars=scalars.ctypes.data,
            scalars_stride=scalars.strides[0],
            losses=losses.ctypes.data,
        )
        compiled.run(arguments.address)
        assert np.isfinite(losses).all()
        memories.append(memory)
    fused, kept = memories
    for name in kept.compiled.weight_places:
        assert fused.weight(name).tobytes() == kept.weight(name).tobytes()
        assert fused.slot(0, "momentum_buffer", name).tobytes() == kept.slot(0, "momentum_buffer", name).tobytes()
    assert np.isnan(fused.gradients).all()
    assert np.isfinite(kept.gradients[: kept.weight("w0").size]).all()


def two_heads(element: str, n_in: int, n_hidden: int, n_out: int, trained: str = "wuv") -> Program:
    """Return a program whose gradients need a sum over all rows first: that of u is known a phase before that of v."""
    block = BlockBuilder(element)
    features, hidden = Axis("features", n_in), Axis("hidden", n_hidden)
    x = block.input("x", Type(element, (ROWS, features)), "data")
    block.input("y", Type("i64", (ROWS,)), "data")
    w = block.input("w", Type(element, (hidden, features)), "weight")
    u, v = (block.input(name, Type(element, (Axis(f"out_{name}", n_out), hidden)), "weight") for name in "uv")
    h = apply("max", apply("contract", x, w, over="features"), 0.0)
    of_u, of_v = (apply("contract", h, weight, over="hidden") for weight in (u, v))
    late = (of_v * of_v).sum("out_v").sum("rows")
    loss = (of_u * of_u).sum("out_u").sum("rows") + late * late
    block.output("loss", loss)
    weights = [weight for weight in (w, u, v) if weight.name in trained]
    for weight, gradient in zip(weights, gradients(block, loss, weights), strict=True):
        block.output(f"gradient of {weight.name}", gradient)
    n_weights = sum(weight.type.n_features for weight in weights)
    return Program(block.finish(), (write_update(Sgd(), tuple(trained), n_weights, element, clips=False),), None)


LEVELS = [name for name in TARGET_NAMES if named_target(name).runs_here]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("element", ["f32", "f64"])
@pytest.mark.parametrize("sizes", [(4, 32, 16), (4, 20, 32), (16, 64, 40)])
@pytest.mark.parametrize("trained", ["wuv", "wu"])
def test_gradients_of_two_phases(level, element, sizes, trained):
    """The first phase transposes what the second one needs transposed again, or as it is."""
    program, target = two_heads(element, *sizes, trained), named_target(level)
    n_rows, dtype = 2 * target.lanes(element), np.float32 if element == "f32" else np.float64
    batching = Batching(n_rows, 1, is_shuffled=False, is_full=True, seed=0)
    shape = batching.shape(n_rows, target.lanes(element))
    assert not lower(program, shape, target).updates_with_sums
    random = np.random.default_rng(0)
    inputs = {item.name: random.normal(size=shape_of(item, n_rows)).astype(dtype) * 0.3 for item in program.step.inputs}
    inputs["y"] = np.zeros(n_rows, dtype=np.int64)
    expected = interpret_block(program.step, inputs)
    compiled = compile_program(program, shape, target, keeps_gradients=True)
    steps = CompiledSteps(compiled, {}, Rows(inputs["x"], inputs["y"]), None, batching)
    for name in ("w", "u", "v"):
        steps.memory.weight(name)[:] = inputs[name].reshape(-1)
    (loss,) = steps.advance(0, 1, [UpdateRule(Sgd(), 0, 0)], np.zeros((1, 1)))
    tolerance = 1e-5 if element == "f32" else 1e-13
    assert loss == pytest.approx(float(expected["loss"]), rel=tolerance)
    for name in trained:
        place = compiled.layout.weights[name]
        gradient = np.asarray(expected[f"gradient of {name}"]).reshape(-1)
        found = steps.memory.gradients[place : place + gradient.size]
        np.testing.assert_allclose(found, gradient, rtol=0, atol=tolerance * np.abs(gradient).max())


def shape_of(item: Input, n_rows: int) -> tuple[int, ...]:
    return tuple(n_rows if axis == ROWS else axis.size for axis in item.type.axes)


def clipping(plan: Plan) -> Plan:
    return replace(plan, updates=(write_update(Sgd(), plan.updates[0].weights, 16, "f32", clips=True),))


def all_chunks(plan: Plan) -> Plan:
    return replace(plan, step=replace(plan.step, is_chunked=True))


def without_a_sum(plan: Plan) -> Plan:
    phases = (replace(plan.step.phases[0], reductions=()), *plan.step.phases[1:])
    return replace(plan, step=replace(plan.step, phases=phases))


def in_the_loss(plan: Plan) -> Plan:
    """A later operation takes a gradient."""
    block = plan.step.block
    gradient = dict(block.outputs)["gradient of w1"]
    last = block.operations[-1]
    operations = (*block.operations[:-1], replace(last, operands=(gradient, *last.operands[1:])))
    return replace(plan, step=replace(plan.step, block=replace(block, operations=operations)))


def with_a_later_weight(plan: Plan) -> Plan:
    """An operation after the sums takes a weight."""
    *phases, final = plan.step.phases
    once = (replace(final.once[0], operands=("w0", *final.once[0].operands[1:])), *final.once[1:])
    return replace(plan, step=replace(plan.step, phases=(*phases, replace(final, once=once))))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (clipping, "sgd takes gradients clipped before they all are known"),
        (all_chunks, "weights are updated before all chunks of rows are summed"),
        (without_a_sum, "the gradient of w0 is no sum over rows"),
        (in_the_loss, "takes a gradient that is kept nowhere"),
        (with_a_later_weight, "takes a weight that is updated before"),
    ],
)
def test_updates_that_come_too_soon_are_found(broken, said):
    plan = lower(program_with(Sgd()), RowsShape.of(120, 32, 16), TARGET)
    _verify_updates(plan)
    with pytest.raises(InvalidPlan, match=said):
        _verify_updates(broken(plan))
    # The pass does not do what the check refuses.
    assert not fuse_updates(broken(plan)).updates_with_sums


def test_later_phases_and_their_weights_are_waited_for():
    plan = lower(two_heads("f32", 4, 32, 16), RowsShape.of(120, 32, 16), TARGET)
    assert len([phase for phase in plan.step.phases if phase.reductions]) == 2
    with pytest.raises(InvalidPlan, match="takes a weight that is updated before"):
        verify_plan(replace(plan, updates_with_sums=True), TARGET)


def test_an_optimizer_without_weights_has_nothing_to_update():
    block = BlockBuilder("f32")
    x = block.input("x", Type("f32", (ROWS,)), "data")
    block.output("loss", x.sum("rows"))
    program = Program(block.finish(), (write_update(Sgd(), (), 0, "f32", clips=False),), None)
    assert not lower(program, RowsShape.of(120, 32, 16), TARGET).updates_with_sums


def test_a_transpose_stays_apart_from_a_value_that_is_needed_later():
    step = lower(two_heads("f32", 16, 64, 40, "wu"), RowsShape.of(32, None, 16), TARGET).step
    assert step.transposed["max.1"] != step.places["max.1"]
    broken = replace(step, transposed={**step.transposed, "max.1": step.places["max.1"]})
    with pytest.raises(InvalidPlan, match=r"the transpose of max\.1 and max\.1 share a place"):
        _verify_places(broken, 16)
