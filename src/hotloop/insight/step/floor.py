"""What a step cannot take less than: its operations and its traffic against what this machine reaches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hotloop.engines.step_size import step_flop
from hotloop.insight.explanation import Floor
from hotloop.insight.preserve import preserved
from hotloop.program.ops import OPS

if TYPE_CHECKING:
    import torch

    from hotloop.engines.task import Task
    from hotloop.hardware import Measured
    from hotloop.program.program import Block, Operation, Program

__all__ = ["floor_of", "program_flop"]

_CACHE_BYTES_IF_UNKNOWN = 1 << 20


def floor_of(
    task: Task, program: Program | None, core: Measured, cache_bytes: int | None, done_in_us: float = math.inf
) -> Floor:
    """Return the floor of a step on one core.

    Parameters
    ----------
    task : Task
    program : Program, optional
        The step, where it can be captured: then every operation is counted. Else products are, of matrices and
        convolutions, by calling the model with two rows.
    core : Measured
        What one core reaches.
    cache_bytes : int, optional
        What its cache holds: a run's data that fits need not be fetched again in each step.
    done_in_us : float
        The least that a step was seen to take: then the core reaches as much, whatever else it was measured at.
    """
    rows = min(task.batch_size, len(task.training))
    weight_bytes = sum(parameter.nbytes for parameter in task.model.parameters())
    flop = step_flop(rows, 1) * _products_of_a_row(task) if program is None else program_flop(program, rows)
    slots = 0 if program is None else max((len(update.slots) for update in program.updates), default=0)
    row_bytes = task.training.size_bytes / len(task.training)
    # Weights and slots are read and written, rows are read.
    traffic_bytes = rows * row_bytes + 2.0 * weight_bytes * (1 + slots)
    whole_bytes = task.training.size_bytes + weight_bytes * (1 + slots)
    if whole_bytes <= (cache_bytes or _CACHE_BYTES_IF_UNKNOWN):
        traffic_bytes = 0.0
    gflop_per_s = max(core.gflop_per_s or math.inf, flop / done_in_us / 1e3)
    gb_per_s = max(core.bandwidth_gb_per_s or math.inf, traffic_bytes / done_in_us / 1e3)
    arithmetic_us, traffic_us = flop / gflop_per_s / 1e3, traffic_bytes / gb_per_s / 1e3
    us = max(arithmetic_us, traffic_us)
    return Floor(flop, traffic_bytes, arithmetic_us, traffic_us, us, gflop_per_s, gb_per_s)


def _products_of_a_row(task: Task) -> float:
    """Return how many multiplications each row takes at least on its way through the model."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    rows = task.training.X[:2].to(next(task.model.parameters()).device)
    with preserved(task.model), torch.no_grad(), FlopCounterMode(display=False) as counter:
        task.model(rows)
    # Counted are those that torch does by matrix products and convolutions, an addition with each.
    counted: float = counter.get_total_flops() / 2 / len(rows)
    return max(counted, _multiplied(task.model))


def _multiplied(model: torch.nn.Module) -> int:
    """Return how many weights each row is multiplied by at least once: what is looked up is not multiplied."""
    import torch

    tables = [module for module in model.modules() if isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag))]
    looked_up = {id(table.weight) for table in tables}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in looked_up)


def program_flop(program: Program, rows: int) -> float:
    """Return the floating point operations of a step and its updates; an exp counts as one.

    Parameters
    ----------
    program : Program
    rows : int
        Of a step.
    """
    step = sum(_flop(program.step, operation, rows) for operation in program.step.operations)
    updates = 0.0
    for update in program.updates:
        n_weights = sum(program.step.types[name].n_features for name in update.weights)
        # An update's block stands for one weight of each.
        updates += n_weights * sum(OPS[op.op].flop for op in update.block.operations if op.type.axes)
    return step + updates


def _flop(block: Block, operation: Operation, rows: int) -> float:
    op = OPS[operation.op]
    operands = [block.types[name] for name in operation.operands]
    if operation.op == "contract":
        axes = {axis.name: axis.size or rows for type_ in operands for axis in type_.axes}
        return op.flop * math.prod(axes.values())
    counted = operands[0] if op.kind == "sum" else operation.type
    return op.flop * math.prod(axis.size or rows for axis in counted.axes)
