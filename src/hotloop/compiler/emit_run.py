"""The loop around everything as code: steps, batches, epochs; and the loss of rows that are not trained on.

::

    for each step:
      gather the batch's rows                      unless a full batch is laid out already
      for each phase: once, kernels, sums          emit_once, emit_rows, emit_reductions
                                                   (a large batch: rows, kernels and sums chunk by chunk)
      each update                                  emit_update, unless done as gradients are summed
      losses[step] = loss
      next batch; after the last one, the next epoch's keys
"""

from __future__ import annotations

from collections.abc import Sequence

from hotloop.compiler.choose_tiles import CHUNK_BLOCKS
from hotloop.compiler.emit_gather import emit_gather
from hotloop.compiler.emit_once import Once
from hotloop.compiler.emit_reductions import emit_reductions
from hotloop.compiler.emit_rows import emit_rows
from hotloop.compiler.emit_update import NumberedUpdate, emit_update
from hotloop.compiler.function import Function, Module, frame_bytes, step_places
from hotloop.compiler.layout import FACTS, Layout
from hotloop.compiler.plan import BlockPlan, Plan
from hotloop.compiler.target import Target

__all__ = ["emit_program"]

_KEY_BYTES = 4 * 8


def emit_program(plan: Plan, target: Target) -> str:
    """Return the LLVM IR of a whole program.

    ``void run(ptr arguments)`` does steps; ``void evaluate(ptr arguments)`` computes the loss of other rows.
    """
    element = plan.program.element
    width = target.lanes(element)
    layout = Layout.of(plan.program, width)
    module = Module(element, width, layout, target.function_attributes(), target.lookup(element))
    updates = list(NumberedUpdate.all_of(plan))
    written = [
        *_emit_block(module, plan.step, "step", updates if plan.updates_with_sums else ()),
        emit_gather(module, plan.step, "gather_step", may_permute=plan.has_batches),
    ]
    places = step_places(plan.step, module)
    clip = dict(plan.step.block.outputs).get("clip")
    if not plan.updates_with_sums:
        written += [emit_update(module, each, places, clip, f"update_{each.number}") for each in updates]
    written.append(_emit_run(module, plan))
    vector_bytes = width * (4 if element == "f32" else 8)
    chunk_rows = CHUNK_BLOCKS * width if plan.step.is_chunked else 0
    facts = [frame_bytes(plan.step, vector_bytes), chunk_rows, places.n_flat, len(places.numbers), len(places.sums)]
    if plan.evaluation is not None:
        written += _emit_block(module, plan.evaluation, "evaluation", ())
        written += [
            emit_gather(module, plan.evaluation, "gather_evaluation", may_permute=False),
            _emit_evaluate(module, plan.evaluation),
        ]
        own = step_places(plan.evaluation, module)
        facts[3:] = [max(facts[3], len(own.numbers)), max(facts[4], len(own.sums))]
        facts += [frame_bytes(plan.evaluation, vector_bytes), plan.evaluation.rows_at_once * width]
    facts += [0] * (len(FACTS) - len(facts))
    declared = sorted({line for _, lines in written for line in lines})
    constant = f"@facts = constant [{len(facts)} x i64] [{', '.join(f'i64 {fact}' for fact in facts)}]"
    return "\n".join([constant, "", *(text for text, _ in written), *declared, ""])


def _emit_block(
    module: Module, plan: BlockPlan, name: str, updates: Sequence[NumberedUpdate]
) -> list[tuple[str, set[str]]]:
    written = []
    for number, phase in enumerate(plan.phases):
        if phase.kernels or phase.row_sums:
            written.append(emit_rows(module, plan, number, f"{name}_rows_{number}"))
        if phase.reductions:
            written.append(emit_reductions(module, plan, number, f"{name}_sums_{number}", updates))
    return written


def _emit_run(module: Module, plan: Plan) -> tuple[str, set[str]]:
    function = Function(module, "run", "ptr %arguments", is_public=True)
    lanes = function.lanes
    n_rows, batch_size, steps_per_epoch = (function.count(name) for name in ("n_rows", "batch_size", "steps_per_epoch"))
    scalars, scalars_stride, losses = (
        function.pointer("scalars"),
        function.count("scalars_stride"),
        function.pointer("losses"),
    )
    n_gathered = function.count("n_gathered")
    keys = function.pointer("keys")
    stride = lanes.register(f"select i1 {lanes.register(f'icmp eq ptr {keys}, null')}, i64 0, i64 {_KEY_BYTES}")
    carried = [("i64", function.count("step_of_epoch")), ("ptr", keys)]
    n_steps = function.count("n_steps")
    with lanes.loop(0, n_steps, 1, carried, "steps") as loop:
        step_of_epoch, epoch_keys = loop.carried
        first = lanes.register(f"mul nsw i64 {step_of_epoch}, {batch_size}")
        left = lanes.register(f"sub nsw i64 {n_rows}, {first}")
        rows = lanes.int_min(batch_size, left)
        of_step = lanes.offset(scalars, lanes.register(f"mul nsw i64 {loop.index}, {scalars_stride}"))
        if plan.step.is_chunked:
            once = _emit_chunks(function, plan.step, first, rows, epoch_keys, of_step)
        else:
            with lanes.when(lanes.register(f"icmp slt i64 {loop.index}, {n_gathered}"), "gather"):
                lanes.line(f"call void @gather_step(ptr %arguments, i64 {first}, i64 {rows}, ptr {epoch_keys})")
            once = _emit_phases(function, plan.step, rows, of_step)
        for number, _ in enumerate(() if plan.updates_with_sums else plan.updates):
            lanes.line(f"call void @update_{number}(ptr %arguments, ptr {of_step})")
        _store_loss(
            function, once.number(plan.step.block.output("loss")), lanes.offset(losses, lanes.int_mul(loop.index, 8))
        )
        following = lanes.int_add(step_of_epoch, 1)
        is_over = lanes.register(f"icmp eq i64 {following}, {steps_per_epoch}")
        next_keys = lanes.offset(epoch_keys, stride)
        loop.carried = [
            lanes.register(f"select i1 {is_over}, i64 0, i64 {following}"),
            lanes.register(f"select i1 {is_over}, ptr {next_keys}, ptr {epoch_keys}"),
        ]
    return function.text(), lanes.declared


def _emit_phases(function: Function, plan: BlockPlan, rows: str, scalars: str) -> Once:
    lanes = function.lanes
    blocks = _blocks_of(function, rows)
    once = Once(function, plan, rows)
    once.clear_sums()
    for number, phase in enumerate(plan.phases):
        once.emit(phase.once)
        if phase.kernels or phase.row_sums:
            lanes.line(f"call void @step_rows_{number}(ptr %arguments, i64 {blocks}, i64 {rows})")
        once.finish_sums(phase.row_sums)
        if phase.reductions:
            lanes.line(f"call void @step_sums_{number}(ptr %arguments, i64 {blocks}, ptr {scalars})")
    return once


def _emit_chunks(function: Function, plan: BlockPlan, first: str, rows: str, keys: str, scalars: str) -> Once:
    """Write the step of a large batch: its rows pass through the frames of one chunk."""
    lanes, phase = function.lanes, plan.phases[0]
    once = Once(function, plan, rows)
    once.clear_sums()
    once.clear_gradients()
    once.emit(phase.once)
    chunk_rows = CHUNK_BLOCKS * lanes.width
    with lanes.loop(0, rows, chunk_rows, name="chunks") as loop:
        of_chunk = lanes.int_min(chunk_rows, lanes.register(f"sub nsw i64 {rows}, {loop.index}"))
        blocks = _blocks_of(function, of_chunk)
        at = lanes.int_add(first, loop.index)
        lanes.line(f"call void @gather_step(ptr %arguments, i64 {at}, i64 {of_chunk}, ptr {keys})")
        lanes.line(f"call void @step_rows_0(ptr %arguments, i64 {blocks}, i64 {of_chunk})")
        if phase.reductions:
            lanes.line(f"call void @step_sums_0(ptr %arguments, i64 {blocks}, ptr {scalars})")
    once.finish_sums(phase.row_sums)
    for later in plan.phases[1:]:
        once.emit(later.once)
    return once


def _blocks_of(function: Function, rows: str) -> str:
    """Return how many vectors hold so many rows."""
    lanes = function.lanes
    return lanes.register(f"sdiv i64 {lanes.int_add(rows, lanes.width - 1)}, {lanes.width}")


def _emit_evaluate(module: Module, plan: BlockPlan) -> tuple[str, set[str]]:
    """Write the evaluation: rows pass through a few frames, and only sums over them remain."""
    assert not any(phase.kernels for phase in plan.phases[1:]), "a loss needs its rows once"
    function = Function(module, "evaluate", "ptr %arguments", is_public=True)
    lanes = function.lanes
    n_rows = function.count("n_rows")
    once = Once(function, plan, n_rows)
    once.clear_sums()
    once.emit(plan.phases[0].once)
    at_once = plan.rows_at_once * lanes.width
    with lanes.loop(0, n_rows, at_once, name="rows") as loop:
        left = lanes.register(f"sub nsw i64 {n_rows}, {loop.index}")
        rows = lanes.int_min(at_once, left)
        blocks = _blocks_of(function, rows)
        lanes.line(f"call void @gather_evaluation(ptr %arguments, i64 {loop.index}, i64 {rows}, ptr null)")
        lanes.line(f"call void @evaluation_rows_0(ptr %arguments, i64 {blocks}, i64 {rows})")
    once.finish_sums(plan.phases[0].row_sums)
    for phase in plan.phases[1:]:
        once.emit(phase.once)
    _store_loss(function, once.number(plan.block.output("loss")), function.pointer("losses"))
    return function.text(), lanes.declared


def _store_loss(function: Function, loss: str, pointer: str) -> None:
    if function.module.element == "f32":
        loss = function.lanes.register(f"fpext float {loss} to double")
    function.lanes.line(f"store double {loss}, ptr {pointer}, align 8")
