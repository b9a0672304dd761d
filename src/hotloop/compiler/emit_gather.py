"""Rows into frames as code: which rows a batch takes, and their transposition into lanes.

::

    for each frame:
      row = permutation(first + lane)                    a Feistel network in lanes, see program/random.py
      r0..r15 = x[row of lane 0..15][16 features]        sixteen loads
      frame.x[16 features] = transpose(r0..r15)
      frame.y = y[row of each lane]

Lanes beyond the last row repeat it, so that nothing in them is not finite unless it is in a real row, too.
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
    n_blocks = lanes.register(f"sdiv i64 {lanes.int_add('%n_rows', width - 1)}, {width}")
    with lanes.loop(0, n_blocks, name="frames") as loop:
        frame = lanes.offset(frames, lanes.int_mul(loop.index, frame_bytes(plan, function.vector_bytes)))
        rows = _positions(function, loop.index, last)
        if permutation is not None:
            rows = permutation.of(rows)
        numbers = [lanes.register(f"zext i32 {_element(function, rows, lane)} to i64") for lane in range(width)]
        for item, source in sources:
            place = plan.places[item.name] * function.vector_bytes
            _copy(function, item, source, numbers, lanes.offset(frame, place))
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

    def of(self, positions: str) -> str:
        """Return the rows at these positions: repeated until each lands among the rows."""
        lanes = self._lanes
        before = lanes.body.label
        walk, done = lanes.label("walk"), lanes.label("walked")
        lanes.line(f"br i1 {self._is_wanted}, label %{walk}, label %{done}")
        lanes.start_block(walk)
        place = len(lanes.lines)
        current, active = lanes.register(""), lanes.register("")
        moved = self._feistel(current)
        chosen = lanes.register(f"select {self._mask_kind} {active}, {self._kind} {moved}, {self._kind} {current}")
        outside = lanes.register(f"icmp uge {self._kind} {chosen}, {self._total}")
        bits = lanes.register(f"bitcast {self._mask_kind} {outside} to i{self._width}")
        again = lanes.register(f"icmp ne i{self._width} {bits}, 0")
        end = lanes.body.label
        lanes.lines[place] = f"  {current} = phi {self._kind} [{positions}, %{before}], [{chosen}, %{end}]"
        every = "splat (i1 true)"
        lanes.lines[place + 1] = f"  {active} = phi {self._mask_kind} [{every}, %{before}], [{outside}, %{end}]"
        lanes.line(f"br i1 {again}, label %{walk}, label %{done}")
        lanes.start_block(done)
        return lanes.register(f"phi {self._kind} [{positions}, %{before}], [{chosen}, %{end}]")

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


def _copy(function: Function, item: Input, source: str, rows: list[str], target: str) -> None:
    """Copy one input of a frame's rows: each feature becomes a vector."""
    lanes = function.lanes
    n_features = item.type.n_features
    if item.type.element == "i64":
        _copy_labels(function, source, rows, target)
        return
    starts = [lanes.offset(source, lanes.int_mul(row, n_features * lanes.size_bytes)) for row in rows]
    whole = n_features - n_features % lanes.width
    if whole:
        with lanes.loop(0, whole, lanes.width, name="features") as loop:
            _copy_features(function, starts, target, Feature(0, loop.index), lanes.width)
    if n_features - whole:
        _copy_features(function, starts, target, Feature(whole), n_features - whole)


def _copy_features(function: Function, starts: list[str], target: str, feature: Feature, count: int) -> None:
    lanes = function.lanes
    kind = f"<{count} x {lanes.scalar}>" if count > 1 else lanes.scalar
    vectors = []
    for start in starts:
        address = function.at(start, feature, lanes.size_bytes)
        part = lanes.register(f"load {kind}, ptr {address}, align {lanes.size_bytes}")
        if count == 1:
            part = lanes.register(f"insertelement {lanes.real} poison, {kind} {part}, i64 0")
        elif count < lanes.width:
            places = ", ".join(f"i32 {at}" if at < count else "i32 poison" for at in range(lanes.width))
            part = lanes.register(f"shufflevector {kind} {part}, {kind} poison, <{lanes.width} x i32> <{places}>")
        vectors.append(part)
    for number, vector in enumerate(transpose(lanes, vectors)[:count]):
        lanes.store(vector, function.at(target, feature.plus(number), function.vector_bytes))


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


def _element(function: Function, vector: str, lane: int) -> str:
    return function.lanes.register(f"extractelement <{function.module.width} x i32> {vector}, i64 {lane}")
