"""Which rows a batch takes, as code: ``program.random.row_order`` in lanes.

::

    first position of the frame -> positions of its lanes -> pairs below the side -> Feistel network, again where the
    row lies beyond the last one -> rows

A permutation is a long chain of operations that wait for each other: those of a few frames fill each other's gaps.
"""

from __future__ import annotations

from typing import NamedTuple

from hotloop.compiler.function import Function
from hotloop.program.random import FEISTEL_ROUNDS, SMALLEST_SIDE

__all__ = ["Permutation", "Positions", "in_order", "positions_of"]


class Positions(NamedTuple):
    """The positions within the epoch of a frame's rows: its first one (i32), and how far behind it the lanes are."""

    first: str
    behind: str


def positions_of(function: Function, block: str, last: str) -> Positions:
    """Return a frame's positions; lanes beyond the last row repeat it, and so do frames beyond it."""
    lanes, width = function.lanes, function.module.width
    kind = f"<{width} x i32>"
    within = lanes.int_min(lanes.int_mul(block, width), last)
    left = _splat(function, _i32(function, lanes.register(f"sub nsw i64 {last}, {within}")))
    steps = f"<{', '.join(f'i32 {lane}' for lane in range(width))}>"
    is_row = lanes.register(f"icmp ult {kind} {steps}, {left}")
    behind = lanes.register(f"select <{width} x i1> {is_row}, {kind} {steps}, {kind} {left}")
    return Positions(_i32(function, lanes.int_add("%first", within)), behind)


def in_order(function: Function, positions: Positions) -> str:
    """Return the rows of a frame if they are visited in order."""
    first = _splat(function, positions.first)
    return function.lanes.register(f"add <{function.module.width} x i32> {first}, {positions.behind}")


class _Pairs(NamedTuple):
    """Numbers as the permutation sees them, in lanes: ``left * side + right``."""

    left: str
    right: str


class Permutation:
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

    def of(self, positions: list[Positions]) -> list[str]:
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
        unpermuted = [in_order(self._function, each) for each in positions]
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
        both = zip(unpermuted, rows, strict=True)
        return [lanes.register(f"phi {kind} [{given}, %{before}], [{found}, %{walk}]") for given, found in both]

    def _pairs(self, positions: Positions) -> _Pairs:
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


def _i32(function: Function, value: str) -> str:
    return function.lanes.register(f"trunc i64 {value} to i32")


def _splat(function: Function, value: str) -> str:
    width = function.module.width
    first = function.lanes.register(f"insertelement <{width} x i32> poison, i32 {value}, i64 0")
    return function.lanes.register(
        f"shufflevector <{width} x i32> {first}, <{width} x i32> poison, <{width} x i32> zeroinitializer"
    )
