"""How much of each kind a compiled step does: what :data:`hotloop.insight.machines.passport.VECTOR_COSTS` are costs of.

===========  ==================================================================================================
kind         counted for each step
===========  ==================================================================================================
step         1
product      vector multiply-adds of matrix products with a result for each row
gradient     vector multiply-adds of sums over rows
streamed     KiB from beyond the near cache: weights for each few vectors of rows, rows for each tile of a gradient,
             and what the optimizer keeps, where they are too many for it
arithmetic   vector operations on values of each row, on sums of them, and on weights
special      vector instructions of exp, tanh and their like, as ``compiler/code_size.py`` estimates them
division     vector divisions and square roots
gathered     numbers of rows that are picked from all, or laid out anew for each step
ordered      rows whose place in an epoch's order is computed
===========  ==================================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from hotloop.compiler.choose_tiles import CHUNK_BLOCKS
from hotloop.compiler.code_size import INSTRUCTIONS
from hotloop.insight.machines.passport import VECTOR_COSTS, NativeCosts
from hotloop.program.ops import OPS
from hotloop.program.program import Block, Operation, Program, Update

__all__ = ["native_counts", "native_us"]

_BYTES = {"f32": 4, "f64": 8}
# Vectors of rows that share one reading of the weights; multiply-adds for each number that a gradient's tile reads.
_BLOCKS_AT_ONCE = 2
_TILE = 2.0


def native_counts(
    program: Program, batch_rows: int, *, gathers: bool, lanes: int, cache_bytes: int
) -> Mapping[str, float]:
    """Return how much of each kind a step of a program does.

    Parameters
    ----------
    program : Program
        After ``eliminate`` and ``fold``, so that nothing is counted that is never done.
    batch_rows : int
    gathers : bool
        Whether each step picks its rows from all.
    lanes : int
        float32 numbers of a vector.
    cache_bytes : int
        What a near cache holds of a layer's weights.
    """
    step, size = program.step, _BYTES[program.element]
    lanes = lanes * 4 // size
    blocks = math.ceil(batch_rows / lanes)
    chunks = math.ceil(blocks / CHUNK_BLOCKS)
    counts = dict.fromkeys(VECTOR_COSTS, 0.0)
    counts["step"] = 1.0
    frames_bytes = min(blocks, CHUNK_BLOCKS) * lanes * size * _frame_features(step)
    far = _share_beyond(frames_bytes, cache_bytes)
    for operation in step.operations:
        kind, amount = _counted(step, operation, blocks)
        counts[kind] += amount
        if kind == "product":
            counts["streamed"] += _weights_kib(step, operation, blocks, size, cache_bytes)
        elif kind == "gradient":
            counts["arithmetic"] += operation.type.n_features * (1 + (chunks - 1) / lanes)
            counts["streamed"] += far * amount * lanes * size / _TILE / 1024
    for update in program.updates:
        _add_update(counts, program, update, lanes, cache_bytes)
    if gathers or chunks > 1:
        counts["gathered"] = float(batch_rows * step.inputs[0].type.n_features)
    counts["ordered"] = float(gathers * batch_rows)
    return counts


def native_us(program: Program, batch_rows: int, costs: NativeCosts, *, gathers: bool) -> float:
    """Return what a step takes by these costs, in microseconds."""
    counts = native_counts(program, batch_rows, gathers=gathers, lanes=costs.lanes, cache_bytes=costs.cache_bytes)
    return sum(counts[name] * costs.ns[name] for name in VECTOR_COSTS) / 1e3


def _counted(block: Block, operation: Operation, blocks: int) -> tuple[str, float]:
    """Return the kind of an operation of the step, and how much of it there is."""
    kind, n_features = OPS[operation.op].kind, operation.type.n_features
    if operation.op == "contract" and operation.type.has_rows:
        return "product", float(blocks * n_features * _summed(block, operation))
    operands = [block.types[name] for name in operation.operands]
    if operation.op == "contract":
        return "gradient", float(blocks * math.prod(type_.n_features for type_ in operands))
    if kind == "sum":
        return "arithmetic", float(blocks * operands[0].n_features if operands[0].has_rows else 0)
    if kind != "elementwise" or not operation.type.has_rows:
        return "arithmetic", 0.0
    if operation.op in INSTRUCTIONS:
        return "special", float(blocks * n_features * INSTRUCTIONS[operation.op])
    return "division" if operation.op in ("div", "sqrt") else "arithmetic", float(blocks * n_features)


def _summed(block: Block, operation: Operation) -> int:
    """Return the features that a product sums over."""
    return block.types[operation.operands[1]].axis(operation["over"]).size or 1


def _weights_kib(block: Block, operation: Operation, blocks: int, size: int, cache_bytes: int) -> float:
    weights_bytes = operation.type.n_features * _summed(block, operation) * size
    return _share_beyond(weights_bytes, cache_bytes) * weights_bytes / 1024 * math.ceil(blocks / _BLOCKS_AT_ONCE)


def _frame_features(block: Block) -> int:
    """Return about how many numbers are kept of each row: inputs, and what products give."""
    products = (operation for operation in block.operations if operation.op == "contract" and operation.type.has_rows)
    return block.inputs[0].type.n_features + sum(operation.type.n_features for operation in products)


def _share_beyond(size_bytes: float, cache_bytes: int) -> float:
    """Return how much of something a cache does not hold: nothing up to its size, all from twice that on."""
    return min(max(size_bytes / cache_bytes - 1.0, 0.0), 1.0)


def _add_update(counts: dict[str, float], program: Program, update: Update, lanes: int, cache_bytes: int) -> None:
    n_weights = sum(program.step.types[name].n_features for name in update.weights)
    for operation in update.block.operations:
        if operation.type.axes:
            kind = "division" if operation.op in ("div", "sqrt") else "arithmetic"
            counts[kind] += n_weights / lanes
    touched_bytes = n_weights * _BYTES[program.element] * (2 + len(update.slots))
    counts["streamed"] += _share_beyond(touched_bytes, cache_bytes) * touched_bytes / 1024
