"""Sums over rows as code: gradients of weights and biases.

For the gradient of a weight, ``g.T @ x`` over rows, with a tile of 4 x 4 sums::

    for each 4 features o of g, each 4 features i of x:
      for each frame:
        g0..g3, x0..x3 = frame.g[o..], frame.x[i..]           eight vectors
        sum[c][d] += g[c] * x[d]                               sixteen fused multiply-adds
      gradient[o..][i..] = sums_across(sum)                    sixteen vectors become one

Each sum is a vector until the last row; only then are its lanes added up, sixteen sums at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from hotloop.compiler.across_lanes import sums_across
from hotloop.compiler.function import Feature, Function, Module, frame_bytes, step_places
from hotloop.compiler.plan import BlockPlan, Reduction

__all__ = ["emit_reductions"]

# Tiles along one operand up to which they are written out.
_UNROLLED_TILES = 4


def emit_reductions(module: Module, plan: BlockPlan, number: int, name: str) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, i64 n_blocks)`` and the intrinsics it declares."""
    function = Function(module, name, "ptr %arguments, i64 %n_blocks")
    frames, gradients = function.pointer("frames"), function.pointer("gradients")
    for reduction in plan.phases[number].reductions:
        _Sums(function, plan, reduction, frames, gradients).emit()
    return function.text(), function.lanes.declared


class _Sums:
    """The code of one reduction."""

    def __init__(self, function: Function, plan: BlockPlan, reduction: Reduction, frames: str, gradients: str):
        self._function, self._lanes = function, function.lanes
        self._plan, self._reduction = plan, reduction
        self._frames, self._gradients = frames, gradients
        self._stride = frame_bytes(plan, function.vector_bytes)
        operation = reduction.operation
        self._operands = [plan.view(name) for name in operation.operands]
        self._sizes = [plan.type(name).n_features for name in operation.operands]
        self._places = step_places(plan, function.module).flat[operation.name]

    def emit(self) -> None:
        if self._reduction.operation.op == "sum":
            for o, p in self._tiles(self._sizes[0], self._reduction.tile[0]):
                self._sum_features(o, p)
            return
        for o, p in self._tiles(self._sizes[0], self._reduction.tile[0]):
            for i, q in self._tiles(self._sizes[1], self._reduction.tile[1]):
                self._sum_products(o, p, i, q)

    def _tiles(self, size: int, tile: int) -> Iterator[tuple[Feature, int]]:
        """Yield the tiles along an operand; whole ones by a loop if there are many."""
        full, rest = divmod(size, tile)
        if full <= _UNROLLED_TILES:
            for number in range(full):
                yield Feature(number * tile), tile
        else:
            with self._lanes.loop(0, full * tile, tile, name="features") as loop:
                yield Feature(0, loop.index), tile
        if rest:
            yield Feature(full * tile), rest

    def _sum_products(self, o: Feature, p: int, i: Feature, q: int) -> None:
        first, second = self._starts(0, o), self._starts(1, i)
        carried = [(self._lanes.real, self._lanes.constant(0.0))] * (p * q)
        with self._lanes.loop(0, "%n_blocks", 1, carried, "frames") as loop:
            frame = self._lanes.int_mul(loop.index, self._stride)
            gs = self._load(first, frame, p)
            xs = self._load(second, frame, q)
            loop.carried = [
                self._lanes.fma(gs[c], xs[d], loop.carried[c * q + d]) for c in range(p) for d in range(q)
            ]
        width = self._sizes[1]
        if q == width:
            # The tile's rows follow each other in memory, too.
            self._store(loop.carried, o, width, 0)
            return
        per_vector = max(self._lanes.width // q, 1)
        for c in range(0, p, per_vector):
            rows = min(per_vector, p - c)
            self._store_rows(loop.carried[c * q : (c + rows) * q], o.plus(c), rows, i, q)

    def _sum_features(self, o: Feature, p: int) -> None:
        first = self._starts(0, o)
        carried = [(self._lanes.real, self._lanes.constant(0.0))] * p
        with self._lanes.loop(0, "%n_blocks", 1, carried, "frames") as loop:
            frame = self._lanes.int_mul(loop.index, self._stride)
            gs = self._load(first, frame, p)
            loop.carried = [self._lanes.add(total, g) for total, g in zip(loop.carried, gs, strict=True)]
        self._store(loop.carried, o, 1, 0)

    def _starts(self, which: int, feature: Feature) -> str:
        """Return where an operand's features lie in the first frame."""
        view = self._operands[which]
        place = (self._plan.places[view.value] + view.first_feature) * self._function.vector_bytes
        return self._function.at(self._frames, feature, self._function.vector_bytes, place)

    def _load(self, start: str, frame: str, count: int) -> list[str]:
        base = self._lanes.offset(start, frame)
        return [self._lanes.load(self._lanes.offset(base, at * self._function.vector_bytes)) for at in range(count)]

    def _store(self, sums: list[str], o: Feature, width: int, column: int) -> None:
        """Store sums that follow each other in memory, from feature ``o`` of the first operand on."""
        for at in range(0, len(sums), self._lanes.width):
            part = sums[at : at + self._lanes.width]
            total = sums_across(self._lanes, part)
            self._store_part(total, 0, len(part), o, width, column + at)

    def _store_rows(self, sums: list[str], o: Feature, rows: int, i: Feature, q: int) -> None:
        """Store a piece of a few rows of the gradient, q sums each."""
        if len(sums) <= self._lanes.width:
            total = sums_across(self._lanes, sums)
            for row in range(rows):
                self._store_part(total, row * q, q, o.plus(row), self._sizes[1], i)
            return
        for at in range(0, q, self._lanes.width):
            part = sums[at : at + self._lanes.width]
            self._store_part(sums_across(self._lanes, part), 0, len(part), o, self._sizes[1], i.plus(at))

    def _store_part(self, total: str, lane: int, count: int, o: Feature, width: int, column: Feature | int) -> None:
        lanes, size = self._lanes, self._lanes.size_bytes
        column = Feature(column) if isinstance(column, int) else column
        places = list(range(lane, lane + count))
        part = total if count == lanes.width else lanes.shuffle(total, "poison", places)
        kind = f"<{count} x {lanes.scalar}>"
        for place in self._places:
            row = self._function.at(self._gradients, o, width * size, place * size)
            pointer = self._function.at(row, column, size)
            lanes.line(f"store {kind} {part}, ptr {pointer}, align {size}")
