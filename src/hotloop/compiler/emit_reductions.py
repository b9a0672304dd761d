"""Sums over rows as code: gradients of weights and biases.

For the gradient of a weight, ``g.T @ x`` over rows, with a tile of 4 x 4 sums::

    for each 4 features o of g, each 4 features i of x:
      for each frame:
        g0..g3, x0..x3 = frame.g[o..], frame.x[i..]           eight vectors
        sum[c][d] += g[c] * x[d]                               sixteen fused multiply-adds
      gradient[o..][i..] = sums_across(sum)                    sixteen vectors become one

Each sum is a vector until the last row; only then are its lanes added up, sixteen sums at a time. The gradient of a
bias is summed beside the first features of x, while g passes by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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


@dataclass(frozen=True)
class _Target:
    """Where a sum goes: gradient ``value``, element ``row * width + column``."""

    value: str
    row: Feature
    column: Feature
    width: int

    def follows(self, other: _Target) -> bool:
        """Whether it lies right behind another in memory."""
        same_loop = self.row.index == other.row.index and self.column.index == other.column.index
        place, place_before = (at.row.constant * at.width + at.column.constant for at in (self, other))
        return self.value == other.value and same_loop and place == place_before + 1


class _Sums:
    """The code of one reduction."""

    def __init__(self, function: Function, plan: BlockPlan, reduction: Reduction, frames: str, gradients: str):
        self._function, self._lanes = function, function.lanes
        self._plan, self._reduction = plan, reduction
        self._frames, self._gradients = frames, gradients
        self._stride = frame_bytes(plan, function.vector_bytes)
        self._operation = reduction.operation
        self._operands = [plan.view(name) for name in self._operation.operands]
        self._sizes = [plan.type(name).n_features for name in self._operation.operands]
        self._places = step_places(plan, function.module).flat

    def emit(self) -> None:
        p, q = self._reduction.tile
        if self._operation.op == "sum":
            for o, count in self._tiles(self._sizes[0], p):
                self._emit_tile(o, count, Feature(0), 0, has_sums=True)
            return
        for o, p_here in self._tiles(self._sizes[0], p):
            for i, q_here in self._tiles(self._sizes[1], q):
                is_first = i == Feature(0)
                self._emit_tile(o, p_here, i, q_here, has_sums=is_first and self._reduction.beside is not None)

    def _tiles(self, size: int, tile: int) -> Iterator[tuple[Feature, int]]:
        """Yield the tiles along an operand: the first one written out, the others by a loop if there are many."""
        full, rest = divmod(size, tile)
        if full <= _UNROLLED_TILES:
            for number in range(full):
                yield Feature(number * tile), tile
        else:
            yield Feature(0), tile
            with self._lanes.loop(tile, full * tile, tile, name="features") as loop:
                yield Feature(0, loop.index), tile
        if rest:
            yield Feature(full * tile), rest

    def _emit_tile(self, o: Feature, p: int, i: Feature, q: int, *, has_sums: bool) -> None:
        """Add up p x q products, and p values beside them, over all frames."""
        lanes = self._lanes
        first, second = self._start(0, o), self._start(1, i) if q else ""
        zeros = [(lanes.real, lanes.constant(0.0))] * (p * q + (p if has_sums else 0))
        with lanes.loop(0, "%n_blocks", 1, zeros, "frames") as loop:
            frame = lanes.int_mul(loop.index, self._stride)
            gs = self._load(first, frame, p)
            xs = self._load(second, frame, q) if q else []
            products = [lanes.fma(gs[c], xs[d], loop.carried[c * q + d]) for c in range(p) for d in range(q)]
            sums = [lanes.add(total, g) for total, g in zip(loop.carried[p * q :], gs, strict=False)]
            loop.carried = products + sums
        self._store(loop.carried, self._targets(o, p, i, q, has_sums))

    def _start(self, which: int, feature: Feature) -> str:
        """Return where an operand's features lie in the first frame."""
        view = self._operands[which]
        place = (self._plan.places[view.value] + view.first_feature) * self._function.vector_bytes
        return self._function.at(self._frames, feature, self._function.vector_bytes, place)

    def _load(self, start: str, frame: str, count: int) -> list[str]:
        base = self._lanes.offset(start, frame)
        return [self._lanes.load(self._lanes.offset(base, at * self._function.vector_bytes)) for at in range(count)]

    def _targets(self, o: Feature, p: int, i: Feature, q: int, has_sums: bool) -> list[_Target]:
        width = self._sizes[-1]
        name = self._operation.name
        products = [_Target(name, o.plus(c), i.plus(d), width) for c in range(p) for d in range(q)]
        if not has_sums:
            return products
        own = name if self._operation.op == "sum" else self._reduction.beside.name  # type: ignore[union-attr]
        return products + [_Target(own, o.plus(c), Feature(0), 1) for c in range(p)]

    def _store(self, vectors: list[str], targets: list[_Target]) -> None:
        """Add up the lanes, as many vectors at a time as there are lanes, and store what lies side by side together."""
        width = self._lanes.width
        for at in range(0, len(vectors), width):
            group = targets[at : at + width]
            total = sums_across(self._lanes, vectors[at : at + width])
            start = 0
            for lane in range(1, len(group) + 1):
                if lane == len(group) or not group[lane].follows(group[lane - 1]):
                    self._store_run(total, start, lane - start, group[start])
                    start = lane

    def _store_run(self, total: str, lane: int, count: int, target: _Target) -> None:
        lanes, size = self._lanes, self._lanes.size_bytes
        whole = total if count == lanes.width else lanes.shuffle(total, "poison", range(lane, lane + count))
        for place in self._places[target.value]:
            part = whole
            row = self._function.at(self._gradients, target.row, target.width * size, place * size)
            pointer = self._function.at(row, target.column, size)
            if self._plan.is_chunked:
                before = lanes.register(f"load <{count} x {lanes.scalar}>, ptr {pointer}, align {size}")
                part = lanes.register(f"fadd <{count} x {lanes.scalar}> {before}, {part}")
            lanes.line(f"store <{count} x {lanes.scalar}> {part}, ptr {pointer}, align {size}")
