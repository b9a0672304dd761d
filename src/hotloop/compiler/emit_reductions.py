"""Sums over rows as code: gradients of weights and biases.

For the gradient of a weight, ``g.T @ x`` over rows, with a tile of 4 x 4 sums::

    for each 4 features o of g, each 4 features i of x:
      for each frame:
        g0..g3, x0..x3 = frame.g[o..], frame.x[i..]           eight vectors
        sum[c][d] += g[c] * x[d]                               sixteen fused multiply-adds
      gradient[o..][i..] = sums_across(sum)                    sixteen vectors become one, or change their weights

Each sum is a vector until the last row; only then are its lanes added up, sixteen sums at a time. The gradient of a
bias is summed beside the first features of x, while g passes by.

With few rows, adding up lanes costs more than the products. Then lanes are features, of x transposed::

    for each frame, for each row in it:
      sum[c] += g[c][row] * x[row][16 features]                    one number, in all lanes, times a vector

Weights are changed at once where ``fuse_updates`` says so. Pieces that multiply and pieces that shuffle stand in turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from hotloop.compiler.across_lanes import sums_across, transpose
from hotloop.compiler.emit_update import NumberedUpdate, UpdateCode
from hotloop.compiler.function import Feature, Function, Module, frame_bytes, step_places
from hotloop.compiler.plan import BlockPlan, Reduction

__all__ = ["emit_reductions"]

# Code to be written.
_Piece = Callable[[], None]
# Writes the code of a tile: its first feature, and how many.
_Body = Callable[[Feature, int], None]
# Writes a body once, or in a loop.
_Span = Callable[[_Body], None]

# Tiles along one operand up to which they are written out.
_UNROLLED_TILES = 4
# Rows of a frame whose products are written out, where lanes are features; no frame has fewer.
_ROWS_WRITTEN_OUT = 2


def emit_reductions(
    module: Module, plan: BlockPlan, number: int, name: str, updates: Sequence[NumberedUpdate]
) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, i64 n_blocks, ptr scalars)`` and the intrinsics it declares.

    Parameters
    ----------
    module : Module
    plan : BlockPlan
    number : int
        Of the phase.
    name : str
    updates : sequence of NumberedUpdate
        Those that change weights here, as gradients are summed.
    """
    function = Function(module, name, "ptr %arguments, i64 %n_blocks, ptr %scalars")
    frames, gradients = function.pointer("frames"), function.pointer("gradients")
    outputs = dict(plan.block.outputs)
    codes: dict[str, UpdateCode] = {}
    for each in updates:
        code = UpdateCode(function, each)
        codes |= {outputs[f"gradient of {weight}"]: code for weight in each.update.weights}
    reductions = plan.phases[number].reductions
    gathered = {item.name for item in plan.block.inputs_of("data")}
    transposed = dict.fromkeys(r.operation.operands[-1] for r in reductions if r.lanes_are_features)
    transposes: list[_Piece] = []
    for value in transposed:
        # Rows are transposed as they are gathered.
        if value not in gathered:
            transposes += _transposition(function, plan, value, frames)
    # Products that need no transpose yet; those that do; and what shuffles at its end, or does nothing else.
    ready: list[_Piece] = []
    products: list[_Piece] = []
    across: list[_Piece] = []
    for reduction in reductions:
        sums = _Sums(function, plan, reduction, frames, gradients, codes)
        if reduction.lanes_are_features:
            (ready if reduction.operation.operands[-1] in gathered else products).extend(sums.products())
            across += sums.beside()
        else:
            across += sums.tiles()
    _take_turns(ready, transposes)
    _take_turns(products, across)
    return function.text(), function.lanes.declared


def _take_turns(products: Sequence[_Piece], shuffles: Sequence[_Piece]) -> None:
    """Write pieces that mostly multiply and pieces that mostly shuffle in turns: a processor has units for either."""
    done = 0
    for number, product in enumerate(products, 1):
        product()
        until = number * len(shuffles) // len(products)
        for shuffle in shuffles[done:until]:
            shuffle()
        done = until
    for shuffle in shuffles[done:]:
        shuffle()


def _transposition(function: Function, plan: BlockPlan, name: str, frames: str) -> Iterator[_Piece]:
    """Yield the code of each frame's copy of a value in which a row's features lie side by side, in whole vectors.

    First come the first features of all rows. The copy may take the place of the value itself.
    """
    lanes, size, width = function.lanes, plan.type(name).n_features, function.module.width
    view = plan.view(name)

    def group_of_features(start: int) -> None:
        with lanes.loop(0, "%n_blocks", name="transpose") as loop:
            frame = lanes.offset(frames, lanes.int_mul(loop.index, frame_bytes(plan, function.vector_bytes)))
            first, count = plan.places[view.value] + view.first_feature + start, min(width, size - start)
            vectors = [lanes.load(lanes.offset(frame, (first + at) * function.vector_bytes)) for at in range(count)]
            vectors += [lanes.constant(0.0)] * (width - count)
            for row, vector in enumerate(transpose(lanes, vectors)):
                place = plan.transposed[name] + start + row
                lanes.store(vector, lanes.offset(frame, place * function.vector_bytes))

    for start in range(0, size, width):
        yield partial(group_of_features, start)


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

    def __init__(
        self,
        function: Function,
        plan: BlockPlan,
        reduction: Reduction,
        frames: str,
        gradients: str,
        updates: Mapping[str, UpdateCode],
    ):
        self._function, self._lanes = function, function.lanes
        self._plan, self._reduction = plan, reduction
        self._frames, self._gradients, self._updates = frames, gradients, updates
        self._stride = frame_bytes(plan, function.vector_bytes)
        self._operation = reduction.operation
        self._operands = [plan.view(name) for name in self._operation.operands]
        self._sizes = [plan.type(name).n_features for name in self._operation.operands]
        self._places = step_places(plan, function.module).flat

    def tiles(self) -> Iterator[_Piece]:
        """Yield the pieces of a sum whose lanes are rows, each some features of its first operand."""
        p, q = self._reduction.tile
        if self._operation.op == "sum":
            yield from self._sums(p)
            return
        for span in self._spans(self._sizes[0], p):
            yield partial(span, partial(self._emit_tiles, q))

    def _emit_tiles(self, q: int, o: Feature, p: int) -> None:
        for span in self._spans(self._sizes[1], q):
            span(partial(self._emit_tile, o, p))

    def products(self) -> Iterator[_Piece]:
        """Yield the pieces of a sum whose lanes are features, each some features of its first operand."""
        p, q = self._reduction.tile
        for span in self._spans(self._sizes[0], p):
            yield partial(span, partial(self._emit_features_in_lanes, q))

    def beside(self) -> Iterator[_Piece]:
        """Yield the pieces of the sum beside products whose lanes are features."""
        if self._reduction.beside is not None:
            yield from self._sums(self._lanes.width)

    def _sums(self, p: int) -> Iterator[_Piece]:
        def emit(o: Feature, count: int) -> None:
            self._emit_tile(o, count, Feature(0), 0)

        for span in self._spans(self._sizes[0], p):
            yield partial(span, emit)

    def _emit_features_in_lanes(self, q: int, o: Feature, p: int) -> None:
        whole, rest = divmod(self._sizes[1], self._lanes.width)
        for span in self._spans(whole, q):
            span(partial(self._emit_tile_of_features, o, p))
        if rest:
            self._emit_tile_of_features(o, p, Feature(whole), 1)

    def _emit_tile_of_features(self, o: Feature, p: int, i: Feature, q: int) -> None:
        """Add up, row by row, p numbers of the first operand times q vectors of the second one's features."""
        lanes, vector = self._lanes, self._function.vector_bytes
        first = self._start(0, o)
        transposed = self._plan.transposed[self._operation.operands[1]] * vector
        second = self._function.at(self._frames, i, vector * lanes.width, transposed)
        zeros = [(lanes.real, lanes.constant(0.0))] * (p * q)
        with lanes.loop(0, "%n_blocks", 1, zeros, "frames") as frames:
            frame = lanes.int_mul(frames.index, self._stride)
            of_first, of_second = lanes.offset(first, frame), lanes.offset(second, frame)
            carried = [(lanes.real, total) for total in frames.carried]
            with lanes.loop(0, lanes.width, _ROWS_WRITTEN_OUT, carried, "rows") as rows:
                sums = list(rows.carried)
                of_row = lanes.offset(of_first, lanes.int_mul(rows.index, lanes.size_bytes))
                features = lanes.offset(of_second, lanes.int_mul(rows.index, vector))
                for row in range(_ROWS_WRITTEN_OUT):
                    xs = [lanes.load(lanes.offset(features, (row + d * lanes.width) * vector)) for d in range(q)]
                    for c in range(p):
                        number = lanes.load_scalar(lanes.offset(of_row, c * vector + row * lanes.size_bytes))
                        g = lanes.spread(number)
                        for d in range(q):
                            sums[c * q + d] = lanes.fma(g, xs[d], sums[c * q + d])
                rows.carried = sums
            frames.carried = rows.carried
        self._store_features(frames.carried, o, p, i, q)

    def _store_features(self, sums: list[str], o: Feature, p: int, i: Feature, q: int) -> None:
        width, size = self._lanes.width, self._sizes[1]
        # The loop counts vectors, and gradients are numbered by features.
        index = None if i.index is None else self._lanes.int_mul(i.index, width)
        for c in range(p):
            for d in range(q):
                column = Feature((i.constant + d) * width, index)
                # Only the last vector may be partly padding, and it is in no loop.
                count = width if index is not None else min(width, size - column.constant)
                target = _Target(self._operation.name, o.plus(c), column, size)
                self._store_run(sums[c * q + d], 0, count, target)

    def _spans(self, size: int, tile: int) -> Iterator[_Span]:
        """Yield the tiles along an operand: the first one written out, the others by a loop if there are many."""
        full, rest = divmod(size, tile)
        if full <= _UNROLLED_TILES:
            for number in range(full):
                yield partial(_call, Feature(number * tile), tile)
        else:
            yield partial(_call, Feature(0), tile)
            yield partial(self._loop, full * tile, tile)
        if rest:
            yield partial(_call, Feature(full * tile), rest)

    def _loop(self, stop: int, tile: int, body: _Body) -> None:
        with self._lanes.loop(tile, stop, tile, name="features") as loop:
            body(Feature(0, loop.index), tile)

    def _emit_tile(self, o: Feature, p: int, i: Feature, q: int) -> None:
        """Add up p x q products, and p values beside the first of them, over all frames."""
        lanes = self._lanes
        has_sums = q == 0 or (i == Feature(0) and self._reduction.beside is not None)
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

        def at(place: int, pointer: str) -> str:
            row = self._function.at(pointer, target.row, target.width * size, place * size)
            return self._function.at(row, target.column, size)

        update = self._updates.get(target.value)
        if update is not None:
            (place,) = self._places[target.value]
            places = [*range(lane, lane + count), *[-1] * (lanes.width - count)]
            gradient = lanes.rounded(lanes.shuffle(total, "poison", places) if lane else total)
            update.emit(gradient, partial(at, place), count)
            return
        whole = total if count == lanes.width else lanes.shuffle(total, "poison", range(lane, lane + count))
        for place in self._places[target.value]:
            part = whole
            pointer = at(place, self._gradients)
            if self._plan.is_chunked:
                before = lanes.register(f"load <{count} x {lanes.scalar}>, ptr {pointer}, align {size}")
                part = lanes.register(f"fadd <{count} x {lanes.scalar}> {before}, {part}")
            lanes.line(f"store <{count} x {lanes.scalar}> {part}, ptr {pointer}, align {size}")


def _call(o: Feature, count: int, body: _Body) -> None:
    body(o, count)
