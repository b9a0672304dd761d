"""Weights that are updated as their gradients are summed: where that is done, and that it changes no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hotloop.capture import capture_network
from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.compiled import Memory, Rows
from hotloop.compiler.fuse_updates import can_update_with_sums
from hotloop.compiler.pipeline import compile_program, lower
from hotloop.compiler.target import host_target, named_target
from hotloop.compiler.verify_plan import InvalidPlan, verify_plan
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, OptimizerRule, Sgd
from hotloop.program.program import Program

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
    assert can_update_with_sums(plan)
    step = plan.step
    (weight,) = [item for item in plan.program.weights if item.name == "w0"]
    gradient = dict(step.block.outputs)["gradient of w0"]
    # A weight of the same shape takes the same gradient.
    shared = tuple(
        (meaning, gradient if meaning == "gradient of w1" else value) for meaning, value in step.block.outputs
    )
    broken = replace(plan, step=replace(step, block=replace(step.block, outputs=shared)))
    assert weight.type == step.type(gradient)
    assert not can_update_with_sums(broken)
    with pytest.raises(InvalidPlan, match="a gradient or a weight is needed after its update"):
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
    for name in kept.places:
        assert fused.weight(name).tobytes() == kept.weight(name).tobytes()
        assert fused.slot(0, "momentum_buffer", name).tobytes() == kept.slot(0, "momentum_buffer", name).tobytes()
    assert np.isnan(fused.gradients).all()
    assert np.isfinite(kept.gradients[: kept.weight("w0").size]).all()
