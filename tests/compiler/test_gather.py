"""The rows that compiled code gathers are those of ``row_order``, whatever the batches and the processor's level."""

from __future__ import annotations

import numpy as np
import pytest

from hotloop.compiler.compiled import Rows
from hotloop.compiler.pipeline import compile_program
from hotloop.compiler.target import TARGET_NAMES, named_target
from hotloop.engines.compiled_steps import Batching, CompiledSteps, UpdateRule
from hotloop.program.build import BlockBuilder
from hotloop.program.gradients import gradients
from hotloop.program.optimizers import Sgd, write_update
from hotloop.program.program import Program
from hotloop.program.random import row_order
from hotloop.program.types import ROWS, Axis, Type

LEVELS = [name for name in TARGET_NAMES if named_target(name).runs_here]


def program(element: str) -> Program:
    block, column = BlockBuilder(element), Axis("features", 1)
    x = block.input("x", Type(element, (ROWS, column)), "data")
    block.input("y", Type("i64", (ROWS,)), "data")
    w = block.input("w", Type(element, (column,)), "weight")
    product = x * w
    loss = (product * product).sum("features").sum("rows")
    block.output("loss", loss)
    (gradient,) = gradients(block, loss, (w,))
    block.output("gradient of w", gradient)
    return Program(block.finish(), (write_update(Sgd(), ("w",), 1, element, clips=False),), None)


@pytest.mark.parametrize("element", ["f32", "f64"])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("n_rows", "batch_size"),
    [(1, 1), (2, 1), (50, 7), (64, 16), (65, 33), (300, 32), (1797, 200), (65_537, 64), (100_003, 33), (3000, 3000)],
)
@pytest.mark.parametrize("is_shuffled", [True, False])
def test_rows_of_batches(n_rows, batch_size, level, element, is_shuffled):
    target = named_target(level)
    lanes, steps_per_epoch = target.lanes(element), -(-n_rows // batch_size)
    batching = Batching(batch_size, steps_per_epoch, is_shuffled, is_full=False, seed=2**40 + n_rows)
    compiled = compile_program(program(element), batching.shape(n_rows, lanes), target)
    x = np.arange(n_rows, dtype=np.float32 if element == "f32" else np.float64)[:, None]
    steps = CompiledSteps(compiled, {}, Rows(x, np.zeros(n_rows, dtype=np.int64)), None, batching)
    frame_numbers = compiled.facts["step_frame_bytes"] // x.itemsize
    for epoch in (0, 1, 2**33):
        order = row_order(n_rows, batching.seed, epoch) if is_shuffled else np.arange(n_rows)
        for step in {0, steps_per_epoch // 2, steps_per_epoch - 1}:
            # Two at once: the second may be the next epoch's first.
            for first in (step, step - 1)[: 1 + (step > 0)]:
                steps.advance(
                    epoch * steps_per_epoch + first, step - first + 1, [UpdateRule(Sgd(), 0, 0)], np.zeros((1, 1))
                )
                rows = order[step * batch_size : (step + 1) * batch_size]
                # Of a batch in chunks the last one's rows are still there.
                chunk_rows = compiled.facts["chunk_rows"] or batch_size
                rows = rows[(len(rows) - 1) // chunk_rows * chunk_rows :]
                frames = steps.memory._piece("frames").reshape(-1, frame_numbers)[: -(-len(rows) // lanes), :lanes]
                # Lanes beyond the last row repeat it.
                expected = np.concatenate([rows, np.repeat(rows[-1:], frames.size - len(rows))])
                np.testing.assert_array_equal(frames.reshape(-1), expected)
