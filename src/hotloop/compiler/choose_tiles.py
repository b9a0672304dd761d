"""Pass: choose how many rows, features and products are worked on at once.

A matrix product keeps a tile of its result in registers: m vectors of rows times n features, with m vectors of one
operand and one number of the other beside it, so that ``m * n + m + 1`` must not exceed the registers (LIBXSMM's rule).
Where few features are summed, all of the first operand stays there. A gradient keeps p times q sums, and their p + q
operands pass by one at a time. Larger tiles load less for each product; tiles that divide the whole leave no remainder.
With few rows, adding up the lanes of a gradient's sums costs more than the products: then lanes are features of one
operand, which is transposed for that.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from hotloop.compiler.plan import BlockPlan, Kernel, Plan, Reduction
from hotloop.compiler.target import Target

__all__ = ["CHUNK_BLOCKS", "RowsShape", "choose_tiles"]

CHUNK_BLOCKS = 64
"""Vectors of rows in a chunk of a large batch."""

# Blocks of rows at once for a full batch, whose size is known at run time only.
_FULL_BATCH_BLOCKS = 4
_MOST_BLOCKS = 8
# Sums of a gradient that leave room for adding up their lanes, by registers.
_ROOMY = {16: 12, 32: 16}
# In multiply-adds: a load; two vectors that become one while lanes are added up; a tile with more sums than leave room
# for that; results that lie side by side, stored or used together; the rest of a tile.
_LOAD = 0.3
_FOLD = 3.0
_CROWDED = 30.0
_RUN = 4.0
_TILE_OVERHEAD = 6.0
# How many a core begins while one waits for its sum, by registers: four cycles, two a cycle where vectors are narrower.
_WAIT = {16: 8, 32: 4}
# Of a square of lanes, with its loads and stores; and what makes up for more code.
_TRANSPOSITION = 96.0
_CLEARLY_LESS = 0.8


class RowsShape(NamedTuple):
    """What is known of the number of rows when compiling; a tuple, since it is looked up at every fit.

    Parameters
    ----------
    batch_size : int, optional
        Rows of a minibatch; None for a full batch.
    blocks : int
        Vectors of rows that are worked on between two sums over rows; at most 4 are told apart for a full batch, so
        that nearly all sizes share code.
    is_chunked : bool
        A batch is done in chunks of ``CHUNK_BLOCKS`` vectors of rows, whose sums add up: what a chunk needs stays in
        the processor's cache, and memory does not grow with the batch.
    """

    batch_size: int | None
    blocks: int
    is_chunked: bool = False

    @classmethod
    def of(cls, n_rows: int, batch_size: int | None, lanes: int) -> RowsShape:
        """Return the shape for rows in all, rows of a batch (None: full) and lanes."""
        blocks = -(-(batch_size or n_rows) // lanes)
        if blocks > CHUNK_BLOCKS:
            return cls(batch_size, CHUNK_BLOCKS, is_chunked=True)
        return cls(batch_size, blocks if batch_size else min(blocks, _FULL_BATCH_BLOCKS))


def choose_tiles(plan: Plan, target: Target, rows: RowsShape) -> Plan:
    """Return the plan with tiles for this target and number of rows."""
    m = _blocks_at_once(rows, target.n_registers)
    step = replace(_tiled(plan.step, target, m, rows.blocks), is_chunked=rows.is_chunked and _passes_once(plan.step))
    # Rows that are not trained on come in any number.
    evaluation = plan.evaluation and _tiled(
        plan.evaluation, target, _FULL_BATCH_BLOCKS // (32 // target.n_registers), 8
    )
    return replace(plan, step=step, evaluation=evaluation, has_batches=rows.batch_size is not None)


def _passes_once(plan: BlockPlan) -> bool:
    """Whether rows are needed only before the first sums over all rows."""
    return not any(phase.kernels or phase.row_sums or phase.reductions for phase in plan.phases[1:])


def _tiled(plan: BlockPlan, target: Target, m: int, blocks: int) -> BlockPlan:
    lanes = target.lanes(plan.type(plan.block.output("loss")).element)
    phases = tuple(
        replace(
            phase,
            kernels=tuple(replace(kernel, tile=_features_at_once(plan, kernel, m, target)) for kernel in phase.kernels),
            reductions=tuple(
                _with_tile(plan, reduction, lanes, target.n_registers, blocks) for reduction in phase.reductions
            ),
        )
        for phase in plan.phases
    )
    return replace(plan, phases=phases, rows_at_once=m)


def _blocks_at_once(rows: RowsShape, n_registers: int) -> int:
    """Return the m that makes a whole batch cheapest, remaining blocks being done one by one."""
    if rows.batch_size is None:
        return min(rows.blocks, _FULL_BATCH_BLOCKS if n_registers >= 32 else 2)
    choices = range(1, min(rows.blocks, _MOST_BLOCKS if n_registers >= 32 else 3) + 1)

    def cost(m: int) -> float:
        full, rest = divmod(rows.blocks, m)
        return full * m * _cost_of_block(m, n_registers) + rest * _cost_of_block(1, n_registers)

    return min(choices, key=lambda m: (round(cost(m), 6), m))


def _cost_of_block(m: int, n_registers: int) -> float:
    n = _widest(m, n_registers)
    return 1 + _LOAD * 2 * (1 / n + 1 / m)


def _widest(m: int, n_registers: int) -> int:
    return max((n_registers - 1 - m) // m, 1)


def _features_at_once(plan: BlockPlan, kernel: Kernel, m: int, target: Target) -> int:
    """Return the n nearest below the widest tile that makes tiles of nearly one size."""
    if kernel.contraction is None:
        return max(min(kernel.size, target.n_registers // (2 * m)), 1)
    widest = min(_widest(m, target.n_registers), kernel.size)
    if target.n_registers >= 32:
        # Sums in half of the registers leave what follows them the other half, and load hardly more.
        widest = min(widest, max(target.n_registers // (2 * m), 3))
        # Where all that is summed fits beside them, it is loaded once for all tiles.
        summed = plan.type(kernel.contraction.operands[0]).axis(kernel.contraction["over"]).size or 0
        beside = (target.n_registers - 1) // m - summed
        widest = min(widest, beside) if beside >= 3 else widest
    return _even(kernel.size, widest)


def _even(size: int, widest: int) -> int:
    """Return the largest tile, no wider than that, that makes tiles of nearly one size."""
    n_tiles = -(-size // widest)
    even = -(-size // n_tiles)
    # A remainder is a second piece of code; a tile that divides the whole saves it if it is not much smaller.
    return next((n for n in range(min(widest, size), (2 * even) // 3, -1) if size % n == 0), even)


def _with_tile(plan: BlockPlan, reduction: Reduction, lanes: int, n_registers: int, blocks: int) -> Reduction:
    operation = reduction.operation
    sizes = [plan.type(name).n_features for name in operation.operands]
    if operation.op == "sum":
        return replace(reduction, tile=(min(sizes[0], n_registers // 2), 1))
    tile, cost = _best_tile(sizes[0], sizes[1], reduction.beside is not None, n_registers, blocks, lanes)
    n_vectors = -(-sizes[1] // lanes)
    q = min(n_vectors, 2)
    p = _even(sizes[0], max((n_registers // 2) // q, 1))
    transposition = blocks * n_vectors * _TRANSPOSITION * lanes / 16
    products = sizes[0] * n_vectors * lanes * blocks * (1 + _LOAD * (1 / p + 1 / q))
    if transposition + products < _CLEARLY_LESS * cost:
        return replace(reduction, tile=(p, q), lanes_are_features=True)
    return replace(reduction, tile=tile)


@lru_cache(maxsize=1024)
def _best_tile(
    n_first: int, n_second: int, has_sum: bool, n_registers: int, blocks: int, lanes: int
) -> tuple[tuple[int, int], float]:
    """Return the (p, q) with the lowest estimate of cycles, and that estimate."""
    choices = [
        (p, q)
        for p in range(1, min(n_first, 8) + 1)
        for q in range(1, min(n_second, 8) + 1)
        if p * q + (p if has_sum else 0) + min(p, q) + 1 <= n_registers
    ]

    def of_tile(p: int, q: int, sums_beside: bool) -> float:
        n_sums = p * q + (p if sums_beside else 0)
        crowded = _CROWDED if n_sums > _ROOMY[n_registers] else 0.0
        products = blocks * max(p * q + _LOAD * (p + q), _WAIT[n_registers])
        n_runs = (p if q < n_second else -(-p * q // lanes)) + sums_beside
        return products + _FOLD * _n_folds(n_sums, lanes) + crowded + _RUN * n_runs + _TILE_OVERHEAD

    def cost(p: int, q: int) -> float:
        # What is summed beside products is so with the first features of the second operand.
        full_q, rest_q = divmod(n_second, q)
        widths = [(q, 1, has_sum), (q, full_q - 1, False), (rest_q, 1, False)]
        heights = [(p, n_first // p), (n_first % p, 1)]
        return sum(
            n_high * n_wide * of_tile(high, wide, sums_beside)
            for high, n_high in heights
            for wide, n_wide, sums_beside in widths
            if high and wide
        )

    best = min(choices, key=lambda tile: cost(*tile))
    return best, cost(*best)


def _n_folds(n_sums: int, lanes: int) -> int:
    """Return how often two vectors become one until the lanes of all sums are added up."""
    whole, rest = divmod(n_sums, lanes)
    levels = [1 << level for level in range(1, lanes.bit_length())]
    return whole * (lanes - 1) + sum((rest + level - 1) // level for level in levels)
