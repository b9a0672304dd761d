"""Rows into frames as code: which rows a batch takes, and their transposition into lanes.

::

    for each few frames:
      rows = permutation(first + lane)                     see emit_row_order
      for each of them:
        r0..r15 = x[row of lane 0..15][16 features]        sixteen loads
        frame.x[16 features] = transpose(r0..r15)
        frame.transposed x[row 0..15] = r0..r15            where a gradient wants features side by side
        frame.y = y[row of each lane]

The row numbers of a few frames (``emit_row_order``) pass through the stack, so that copying is written once, in a loop
over the frames that there are. Lanes beyond the last row repeat it, so that nothing in them is not finite unless it is
in a real row, too.
"""

from __future__ import annotations

from hotloop.compiler.across_lanes import transpose
from hotloop.compiler.emit_row_order import Permutation, in_order, positions_of
from hotloop.compiler.function import Feature, Function, Module, frame_bytes
from hotloop.compiler.plan import BlockPlan
from hotloop.program.program import Input

__all__ = ["emit_gather"]


def emit_gather(module: Module, plan: BlockPlan, name: str, *, may_permute: bool) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, i64 first, i64 n_rows, ptr keys)``; null keys: rows in order."""
    function = Function(module, name, "ptr %arguments, i64 %first, i64 %n_rows, ptr %keys")
    lanes, width = function.lanes, module.width
    frames = function.pointer("frames")
    sources = [(item, function.pointer(item.name)) for item in plan.block.inputs_of("data")]
    permutation = Permutation(function) if may_permute else None
    last = lanes.register("sub nsw i64 %n_rows, 1")
    n_frames = lanes.register(f"sdiv i64 {lanes.int_add('%n_rows', width - 1)}, {width}")
    at_once = plan.rows_at_once if may_permute else 1
    row_numbers = lanes.register(f"alloca [{at_once * width} x i32], align 64")
    with lanes.loop(0, n_frames, at_once, name="groups") as group:
        # Frames beyond the last one, too; they are not copied.
        found = [positions_of(function, lanes.int_add(group.index, number), last) for number in range(at_once)]
        rows_found = permutation.of(found) if permutation else [in_order(function, each) for each in found]
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


def _number(function: Function, address: str) -> str:
    """Load the number of a row, as i64."""
    return function.lanes.register(f"zext i32 {function.lanes.register(f'load i32, ptr {address}, align 4')} to i64")
