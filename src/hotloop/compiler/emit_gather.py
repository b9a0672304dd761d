"""Rows into frames as code: which rows a batch takes, and their transposition into lanes.

::

    for each few frames:
      rows = permutation(first + lane)                     Feistel networks in lanes, see program/random.py
      for each of them:
        r0..r15 = x[row of lane 0..15][16 features]        sixteen loads
        frame.x[16 features] = transpose(r0..r15)
        frame.transposed x[row 0..15] = r0..r15            where a gradient wants features side by side
        frame.y = y[row of each lane]

A permutation is a long chain of operations that wait for each other: those of a few frames fill each other's gaps. The
row numbers pass through the stack, so that copying is written once, in a loop over the frames that there are. Lanes
beyond the last row repeat it, so that nothing in them is not finite unless it is in a real row, too.
"""

from __future__ import annotations

from typing import NamedTuple

from hotloop.compiler.across_lanes import transpose
from hotloop.compiler.function import Feature, Function, Module, frame_bytes
from hotloop.compiler.plan import BlockPlan
from hotloop.program.program import Input
from hotloop.program.random import FEISTEL_ROUNDS, SMALLEST_SIDE

__all__ = ["emit_gather"]


def emit_gather(module: Module, plan: BlockPlan, name: str, *, may_permute: bool) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, i64 first, i64 n_rows, ptr keys)``; null keys: rows in order."""
    function = Function(module, name, "ptr %arguments, i64 %first, i64 %n_rows, ptr %keys")
    lanes, width = function.lanes, module.width
    frames = function.pointer("frames")
    sources = [(item, function.pointer(item.name)) for item in plan.block.inputs_of("data")]
    permutation = _Permutation(function) if may_permute else None
    last = lanes.register("sub nsw i64 %n_rows, 1")
    n_frames = lanes.register(f"sdiv i64 {lanes.int_add('%n_rows', width - 1)}, {width}")
    at_once = plan.rows_at_once if may_permute else 1
    row_numbers = lanes.register(f"alloca [{at_once * width} x i32], align 64")
    with lanes.loop(0, n_frames, at_once, name="groups") as group:
        # Frames beyond the last one, too; they are not copied.
        found = [_positions(function, lanes.int_add(group.index, number), last) for number in range(at_once)]
        rows_found = permutation.of(found) if permutation else [_in_order(function, each) for each in found]
        for number, vector in enumerate(rows_found):
            lanes.line(f"store <{width} x i32> {vector}, ptr {lanes.offset(row_numbers, number * 4 * width)}, align 4")
        left = lanes.int_min(at_once, lanes.register(f"sub nsw i64 {n_frames}, {group.index}"))
        with lanes.loop(0, left, name="frames") as loop:
            frame_number = lanes.int_add(group.index, loop.index)
            frame = lanes.offset(frames, lanes.int_mul(frame_number, frame_bytes(plan, function.vector_bytes)))
            of_frame = lanes.offset(row_numbers, lanes.int_mul(loop.index, 4 * width))
            rows = [_number(function, lanes.offset(of_frame, 4 * lane)) for lane in range(width)]
            for item, source in sources:
                _Copy(function, plan, item, frame).emit(source, rows)
    return function.text(), lanes.declared


class _Positions(NamedTuple):
    """The positions within the epoch of a frame's rows: its first one (i32), and how far behind it the lanes are."""

    first: str
    behind: str


def _positions(function: Function, block: str, last: str) -> _Positions:
    """Return a frame's positions; lanes beyond the last row repeat it, and so do frames beyond it."""
    lanes, width = function.lanes, function.module.width
    kind = f"<{width} x i32>"
    within = lanes.int_min(lanes.int_mul(block, width), last)
    left = _splat(function, _i32(function, lanes.register(f"sub nsw i64 {last}, {within}")))
    steps = f"<{', '.join(f'i32 {lane}' for lane in range(width))}>"
    is_row = lanes.register(f"icmp ult {kind} {steps}, {left}")
    behind = lanes.register(f"select <{width} x i1> {is_row}, {kind} {steps}, {kind} {left}")
    return _Positions(_i32(function, lanes.int_add("%first", within)), behind)


def _in_order(function: Function, positions: _Positions) -> str:
    """Return the rows of a frame if they are visited in order."""
    first = _splat(function, positions.first)
    return function.lanes.register(f"add <{function.module.width} x i32> {first}, {positions.behind}")


class _Pairs(NamedTuple):
    """Numbers as the permutation sees them, in lanes: ``left * side + right``."""

    left: str
    right: str


class _Permutation:
    """The keyed permutation of ``program.random.row_order``, for all lanes at once; nothing if there are no keys."""

    def __init__(self, function: Function):
        self._function, self._width = function, function.module.width
        self._lanes, self._kind = function.lanes, f"<{self._width} x i32>"
        self._mask_kind = f"<{self._width} x i1>"
        self._is_wanted = self._lanes.register("icmp ne ptr %keys, null")
        self._side_of_one = _i32(function, function.count("side"))
        self._side, self._total = (
            _splat(function, number) for number in (self._side_of_one, _i32(function, function.count("n_rows")))
        )

    def of(self, positions: list[_Positions]) -> list[str]:
        """Return the rows at these positions, some vectors of them.

        ::

            walk:
              current = phi [pairs of the positions], [chosen]
              active = phi [all], [outside]
              chosen = select active, feistel(current), current
              row = chosen.left * side + chosen.right
              outside = row >= rows
              br any(outside), walk, walked
        """
        lanes, kind = self._lanes, self._kind
        in_order = [_in_order(self._function, each) for each in positions]
        walk, done = lanes.label("walk"), lanes.label("walked")
        start = lanes.label("permute")
        before = lanes.body.label
        lanes.line(f"br i1 {self._is_wanted}, label %{start}, label %{done}")
        lanes.start_block(start)
        starts = [self._pairs(each) for each in positions]
        lanes.line(f"br label %{walk}")
        lanes.start_block(walk)
        # Phi nodes name values that come later: their lines are completed at the end.
        place = len(lanes.lines)
        current = [_Pairs(lanes.register(""), lanes.register("")) for _ in positions]
        active = [lanes.register("") for _ in positions]
        moved = [self._feistel(pairs) for pairs in current]
        chosen = [
            _Pairs(*(self._choose(mask, new, old) for new, old in zip(pairs, before_it, strict=True)))
            for mask, pairs, before_it in zip(active, moved, current, strict=True)
        ]
        rows = [self._op("add", self._op("mul", pairs.left, self._side), pairs.right) for pairs in chosen]
        outside = [lanes.register(f"icmp uge {kind} {row}, {self._total}") for row in rows]
        again = self._any(outside)
        phis = [
            f"  {name} = phi {kind} [{first}, %{start}], [{last}, %{walk}]"
            for pairs in zip(current, starts, chosen, strict=True)
            for name, first, last in zip(*pairs, strict=True)
        ]
        phis += [
            f"  {name} = phi {self._mask_kind} [splat (i1 true), %{start}], [{last}, %{walk}]"
            for name, last in zip(active, outside, strict=True)
        ]
        lanes.lines[place : place + len(phis)] = phis
        lanes.line(f"br i1 {again}, label %{walk}, label %{done}")
        lanes.start_block(done)
        both = zip(in_order, rows, strict=True)
        return [lanes.register(f"phi {kind} [{given}, %{before}], [{found}, %{walk}]") for given, found in both]

    def _pairs(self, positions: _Positions) -> _Pairs:
        """Divide by the side: one division for a frame, whose other lanes are not far behind."""
        left, right = (
            _splat(self._function, self._lanes.register(f"{op} i32 {positions.first}, {self._side_of_one}"))
            for op in ("udiv", "urem")
        )
        right = self._op("add", right, positions.behind)
        # It is below side + width - 1 now, and no side is smaller than that.
        for _ in range(-(-(self._width - 1) // SMALLEST_SIDE)):
            below = self._lanes.register(f"icmp ult {self._kind} {right}, {self._side}")
            left = self._choose(below, left, self._op("add", left, self._constant(1)))
            right = self._choose(below, right, self._op("sub", right, self._side))
        return _Pairs(left, right)

    def _choose(self, mask: str, a: str, b: str) -> str:
        return self._lanes.register(f"select {self._mask_kind} {mask}, {self._kind} {a}, {self._kind} {b}")

    def _any(self, masks: list[str]) -> str:
        """Return whether any lane of these masks holds, as i1."""
        whole = masks[0]
        for mask in masks[1:]:
            whole = self._lanes.register(f"or {self._mask_kind} {whole}, {mask}")
        bits = self._lanes.register(f"bitcast {self._mask_kind} {whole} to i{self._width}")
        return self._lanes.register(f"icmp ne i{self._width} {bits}, 0")

    def _feistel(self, pairs: _Pairs) -> _Pairs:
        left, right = pairs
        for number in range(FEISTEL_ROUNDS):
            address = self._lanes.offset("%keys", 4 * number)
            key = _splat(self._function, self._lanes.register(f"load i32, ptr {address}"))
            mixed = self._op("xor", right, key)
            mixed = self._op("mul", mixed, mixed)
            mixed = self._op("xor", mixed, self._op("lshr", mixed, self._constant(15)))
            mixed = self._op("mul", self._op("and", mixed, self._constant(0xFFFF)), self._side)
            total = self._op("add", left, self._op("lshr", mixed, self._constant(16)))
            left, right = right, self._below_side(total)
        return _Pairs(left, right)

    def _below_side(self, value: str) -> str:
        """Return a number below twice the side modulo the side: what is below 0 is huge without a sign."""
        less, kind = self._op("sub", value, self._side), self._kind
        return self._lanes.call(f"llvm.umin.v{self._width}i32", kind, (kind, value), (kind, less))

    def _op(self, op: str, a: str, b: str) -> str:
        return self._lanes.register(f"{op} {self._kind} {a}, {b}")

    def _constant(self, value: int) -> str:
        return f"splat (i32 {value})"


class _Copy:
    """The code that copies one input of a frame's rows: each feature becomes a vector.

    Where a sum over rows wants features in lanes, rows are also kept as they are read, side by side: the transpose that
    ``emit_reductions`` would make of the vectors.
    """

    def __init__(self, function: Function, plan: BlockPlan, item: Input, frame: str):
        self._function, self._lanes, self._item = function, function.lanes, item
        self._target = self._place(frame, plan.places[item.name])
        place = plan.transposed.get(item.name)
        self._as_read = None if place is None else self._place(frame, place)

    def _place(self, frame: str, feature: int) -> str:
        return self._lanes.offset(frame, feature * self._function.vector_bytes)

    def emit(self, source: str, rows: list[str]) -> None:
        lanes, n_features = self._lanes, self._item.type.n_features
        if self._item.type.element == "i64":
            _copy_labels(self._function, source, rows, self._target)
            return
        starts = [lanes.offset(source, lanes.int_mul(row, n_features * lanes.size_bytes)) for row in rows]
        whole = n_features - n_features % lanes.width
        if whole:
            with lanes.loop(0, whole, lanes.width, name="features") as loop:
                self._emit_features(starts, Feature(0, loop.index), lanes.width)
        if n_features - whole:
            self._emit_features(starts, Feature(whole), n_features - whole)

    def _emit_features(self, starts: list[str], feature: Feature, count: int) -> None:
        lanes, function = self._lanes, self._function
        # What is left of a vector is zero, since it may be kept as it is read.
        addresses = [function.at(start, feature, lanes.size_bytes) for start in starts]
        vectors = [lanes.load_first(address, count, "zeroinitializer") for address in addresses]
        if self._as_read is not None:
            for row, vector in enumerate(vectors):
                # As many vectors as there are rows for each whole vector of features.
                start = lanes.offset(self._as_read, row * function.vector_bytes)
                lanes.store(vector, function.at(start, feature, function.vector_bytes))
        for number, vector in enumerate(transpose(lanes, vectors)[:count]):
            lanes.store(vector, function.at(self._target, feature.plus(number), function.vector_bytes))


def _copy_labels(function: Function, source: str, rows: list[str], target: str) -> None:
    lanes = function.lanes
    kind = f"i{8 * lanes.size_bytes}"
    for lane, row in enumerate(rows):
        label = lanes.register(f"load i64, ptr {lanes.offset(source, lanes.int_mul(row, 8))}, align 8")
        if kind != "i64":
            label = lanes.register(f"trunc i64 {label} to {kind}")
        lanes.line(
            f"store {kind} {label}, ptr {lanes.offset(target, lane * lanes.size_bytes)}, align {lanes.size_bytes}"
        )


def _i32(function: Function, value: str) -> str:
    return function.lanes.register(f"trunc i64 {value} to i32")


def _splat(function: Function, value: str) -> str:
    width = function.module.width
    first = function.lanes.register(f"insertelement <{width} x i32> poison, i32 {value}, i64 0")
    return function.lanes.register(
        f"shufflevector <{width} x i32> {first}, <{width} x i32> poison, <{width} x i32> zeroinitializer"
    )


def _number(function: Function, address: str) -> str:
    """Load the number of a row, as i64."""
    return function.lanes.register(f"zext i32 {function.lanes.register(f'load i32, ptr {address}, align 4')} to i64")
