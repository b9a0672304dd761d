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

from hotloop.compiler.across_lanes import transpose
from hotloop.compiler.function import Feature, Function, Module, frame_bytes
from hotloop.compiler.plan import BlockPlan
from hotloop.program.program import Input

__all__ = ["emit_gather"]

_FEISTEL_ROUNDS = 8


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
        if permutation is not None:
            found = permutation.of(found)
        for number, vector in enumerate(found):
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


def _positions(function: Function, block: str, last: str) -> str:
    """Return the positions within the epoch of a frame's lanes, as i32."""
    lanes, width = function.lanes, function.module.width
    first = lanes.int_mul(block, width)
    kind = f"<{width} x i32>"
    within = _i32(function, first)
    steps = f"<{', '.join(f'i32 {lane}' for lane in range(width))}>"
    lane = lanes.register(f"add {kind} {_splat(function, within)}, {steps}")
    limit = _splat(function, _i32(function, last))
    below = lanes.register(f"icmp ult {kind} {lane}, {limit}")
    kept = lanes.register(f"select <{width} x i1> {below}, {kind} {lane}, {kind} {limit}")
    return lanes.register(f"add {kind} {kept}, {_splat(function, _i32(function, '%first'))}")


class _Permutation:
    """The keyed permutation of ``program.random.row_order``, for all lanes at once; nothing if there are no keys."""

    def __init__(self, function: Function):
        total, half = (_i32(function, function.count(name)) for name in ("n_rows", "half_bits"))
        self._is_wanted = function.lanes.register("icmp ne ptr %keys, null")
        self._lanes, self._kind = function.lanes, f"<{function.module.width} x i32>"
        self._mask_kind = f"<{function.module.width} x i1>"
        self._function, self._width = function, function.module.width
        self._total, self._half = _splat(function, total), half

    def of(self, positions: list[str]) -> list[str]:
        """Return the rows at these positions, some vectors of them.

        ::

            walk:
              current = phi [positions], [chosen]
              active = phi [all], [outside]
              chosen = select active, feistel(current), current
              outside = chosen >= rows
              br any(outside), walk, walked
        """
        lanes, n = self._lanes, len(positions)
        before = lanes.body.label
        walk, done = lanes.label("walk"), lanes.label("walked")
        lanes.line(f"br i1 {self._is_wanted}, label %{walk}, label %{done}")
        lanes.start_block(walk)
        # Phi nodes name values that come later: their lines are completed at the end.
        place = len(lanes.lines)
        current, active = [[lanes.register("") for _ in positions] for _ in range(2)]
        moved = [self._feistel(value) for value in current]
        chosen = [self._choose(*each) for each in zip(active, moved, current, strict=True)]
        outside = [lanes.register(f"icmp uge {self._kind} {value}, {self._total}") for value in chosen]
        again = self._any(outside)
        end = lanes.body.label
        for number in range(n):
            lanes.lines[place + number] = (
                f"  {current[number]} = phi {self._kind} [{positions[number]}, %{before}], [{chosen[number]}, %{end}]"
            )
            lanes.lines[place + n + number] = (
                f"  {active[number]} = phi {self._mask_kind} [splat (i1 true), %{before}], [{outside[number]}, %{end}]"
            )
        lanes.line(f"br i1 {again}, label %{walk}, label %{done}")
        lanes.start_block(done)
        both = zip(positions, chosen, strict=True)
        return [lanes.register(f"phi {self._kind} [{given}, %{before}], [{found}, %{end}]") for given, found in both]

    def _choose(self, mask: str, a: str, b: str) -> str:
        return self._lanes.register(f"select {self._mask_kind} {mask}, {self._kind} {a}, {self._kind} {b}")

    def _any(self, masks: list[str]) -> str:
        """Return whether any lane of these masks holds, as i1."""
        whole = masks[0]
        for mask in masks[1:]:
            whole = self._lanes.register(f"or {self._mask_kind} {whole}, {mask}")
        bits = self._lanes.register(f"bitcast {self._mask_kind} {whole} to i{self._width}")
        return self._lanes.register(f"icmp ne i{self._width} {bits}, 0")

    def _feistel(self, value: str) -> str:
        half = _splat(self._function, self._half)
        ones = self._op("sub", self._op("shl", self._constant(1), half), self._constant(1))
        rest = self._op("sub", self._constant(32), half)
        left, right = self._op("lshr", value, half), self._op("and", value, ones)
        for number in range(_FEISTEL_ROUNDS):
            address = self._lanes.offset("%keys", 4 * number)
            key = _splat(self._function, self._lanes.register(f"load i32, ptr {address}"))
            mixed = self._op("mul", self._op("xor", right, key), self._constant(0x9E3779B1))
            mixed = self._op("xor", mixed, self._op("lshr", mixed, self._constant(15)))
            mixed = self._op("lshr", self._op("mul", mixed, self._constant(0x85EBCA77)), rest)
            left, right = right, self._op("xor", left, mixed)
        return self._op("or", self._op("shl", left, half), right)

    def _op(self, op: str, a: str, b: str) -> str:
        return self._lanes.register(f"{op} {self._kind} {a}, {b}")

    def _constant(self, value: int) -> str:
        return f"splat (i32 {value - (1 << 32) if value >= 1 << 31 else value})"


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
        vectors = [self._load(function.at(start, feature, lanes.size_bytes), count) for start in starts]
        if self._as_read is not None:
            row_bytes = -(-self._item.type.n_features // lanes.width) * function.vector_bytes
            for row, vector in enumerate(vectors):
                start = lanes.offset(self._as_read, row * row_bytes)
                lanes.store(vector, function.at(start, feature, lanes.size_bytes))
        for number, vector in enumerate(transpose(lanes, vectors)[:count]):
            lanes.store(vector, function.at(self._target, feature.plus(number), function.vector_bytes))

    def _load(self, address: str, count: int) -> str:
        """Load so many features of one row; what is left of the vector is zero, since it may be kept as it is read."""
        lanes = self._lanes
        kind = f"<{count} x {lanes.scalar}>" if count > 1 else lanes.scalar
        part = lanes.register(f"load {kind}, ptr {address}, align {lanes.size_bytes}")
        if count == 1:
            return lanes.register(f"insertelement {lanes.real} zeroinitializer, {kind} {part}, i64 0")
        if count == lanes.width:
            return part
        # Place "count" is the first of the second operand, which is zero.
        places = ", ".join(f"i32 {min(at, count)}" for at in range(lanes.width))
        return lanes.register(f"shufflevector {kind} {part}, {kind} zeroinitializer, <{lanes.width} x i32> <{places}>")


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
