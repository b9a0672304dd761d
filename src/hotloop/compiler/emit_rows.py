"""The kernels of a phase as code: for each tile of rows, every kernel in turn; lanes are rows.

For ``hidden = relu(x @ w.T + b)`` with 2 blocks of rows and 5 features at once::

    for each 2 frames:
      for each 5 features o:
        sum[o][0..1] = b[o]                        one number, in all lanes
        for each k:
          x0, x1 = frame0.x[k], frame1.x[k]        two vectors
          sum[o][j] += w[o][k] * x[j]              ten fused multiply-adds
        frame[j].hidden[o] = max(sum[o][j], 0)

Blocks that remain after the last whole tile are done one at a time by a second copy of the code. Short loops over
features are written out; values of few features go from kernel to kernel in registers.
"""

from __future__ import annotations

from collections.abc import Sequence

from hotloop.compiler.elementwise import EMITTERS, NARROW_EMITTERS, equal_integers, largest, real_of_integer
from hotloop.compiler.function import Feature, Function, Module, frame_bytes, step_places
from hotloop.compiler.plan import BlockPlan, Kernel, Phase, is_elementwise
from hotloop.compiler.reuse_buffers import IN_REGISTERS
from hotloop.program.program import Operation
from hotloop.program.types import ROWS

__all__ = ["emit_rows"]

# Multiply-adds of a tile up to which the sum over k is written out.
_UNROLLED_PRODUCTS = 240
# Turns of a loop over features up to which it is written out.
_UNROLLED_TILES = 3
_UNROLLED_K = 4


def emit_rows(module: Module, plan: BlockPlan, number: int, name: str) -> tuple[str, set[str]]:
    """Return the IR of ``void name(ptr arguments, i64 n_blocks, i64 n_rows)`` and the intrinsics it declares.

    Parameters
    ----------
    module : Module
    plan : BlockPlan
    number : int
        Of the phase.
    name : str
    """
    function = Function(module, name, "ptr %arguments, i64 %n_blocks, i64 %n_rows")
    lanes = function.lanes
    memory = {argument: function.pointer(argument) for argument in ("frames", "weights", "fixed", "numbers", "sums")}
    stride = frame_bytes(plan, function.vector_bytes)
    m = plan.rows_at_once

    def loop_over_tiles(start: str | int, stop: str, blocks: int) -> None:
        with lanes.loop(start, stop, blocks, name=f"rows_{blocks}_") as loop:
            frame = lanes.offset(memory["frames"], lanes.int_mul(loop.index, stride))
            _Tile(function, plan, plan.phases[number], memory, frame, loop.index, blocks, stride).emit()

    if m == 1:
        loop_over_tiles(0, "%n_blocks", 1)
    else:
        rest = lanes.register(f"urem i64 %n_blocks, {m}")
        whole = lanes.register(f"sub nsw i64 %n_blocks, {rest}")
        with lanes.when(lanes.register(f"icmp sgt i64 {whole}, 0"), "tiles"):
            loop_over_tiles(0, whole, m)
        with lanes.when(lanes.register(f"icmp sgt i64 {rest}, 0"), "rest"):
            loop_over_tiles(whole, "%n_blocks", 1)
    return function.text(), lanes.declared


class _Tile:
    """The code for one tile of rows: ``m`` frames, from ``frame`` on."""

    def __init__(
        self,
        function: Function,
        plan: BlockPlan,
        phase: Phase,
        memory: dict[str, str],
        frame: str,
        block: str,
        m: int,
        stride: int,
    ):
        self._function, self._lanes = function, function.lanes
        self._plan, self._phase, self._memory = plan, phase, memory
        self._frame, self._block, self._m, self._stride = frame, block, m, stride
        self._layout, self._places = function.module.layout, step_places(plan, function.module)
        # Values known wherever the tile's code goes on: (value, feature, block) -> register.
        self._registers: dict[tuple[str, int, int], str] = {}
        # Values of the features at hand, within one turn of a kernel's loop.
        self._local: dict[tuple[str, int, int], str] = {}
        self._spread: dict[tuple[str, int], str] = {}
        self._live: list[str] = []
        # The blocks of the tile that are worked on just now.
        self._blocks: Sequence[int] = range(m)
        self._loop_depth = 0
        self._kernel: Kernel | None = None

    def emit(self) -> None:
        self._live = [self._live_lanes(j) for j in range(self._m)]
        sums = list(self._phase.row_sums)
        for group in self._groups():
            # Values in registers are fewest if one block of rows is done with before the next begins.
            each = [(j,) for j in range(self._m)] if len(group) > 1 else [range(self._m)]
            for self._blocks in each:
                # A basic block of its own: LLVM's scheduler would mix the blocks of rows again.
                self._lanes.branch()
                for kernel in group:
                    self._emit_kernel(kernel)
            self._blocks = range(self._m)
            # At once, or what is summed would take up registers until the end.
            made = {operation.name for kernel in group for operation in kernel.operations}
            for operation in sums:
                if operation.operands[0] in made:
                    self._add_to_sum(operation)
            sums = [operation for operation in sums if operation.operands[0] not in made]
        # What no kernel of this phase makes: inputs, views, numbers from earlier phases.
        for operation in sums:
            self._add_to_sum(operation)

    def _groups(self) -> list[list[Kernel]]:
        """Return the kernels in order, those that follow each other through registers together."""
        groups: list[list[Kernel]] = []
        for kernel in self._phase.kernels:
            if groups and self._is_straight(kernel) and self._is_straight(groups[-1][-1]):
                groups[-1].append(kernel)
            else:
                groups.append([kernel])
        return groups

    def _is_straight(self, kernel: Kernel) -> bool:
        """Whether a kernel is neither a product nor a copy, and has no loop."""
        if kernel.operations[0].op in ("contract", "join", "pad"):
            return False
        return kernel.size * self._plan.rows_at_once <= IN_REGISTERS

    # -- kernels -----------------------------------------------------------------------------------------------------

    def _emit_kernel(self, kernel: Kernel) -> None:
        if kernel.operations[0].op in ("join", "pad"):
            self._copy(kernel.operations[0])
            return
        sums = [operation for operation in kernel.operations if operation.op in ("sum", "largest")]
        totals: dict[tuple[str, int], str] = {}

        def turn(feature: Feature, n: int) -> None:
            self._local = {}
            for operation in kernel.operations:
                if operation in sums:
                    self._accumulate(operation, feature, n, totals)
                else:
                    self._emit_operation(operation, kernel, feature, n)

        full, rest = divmod(kernel.size, kernel.tile)
        if full <= _UNROLLED_TILES or self._must_be_written_out(kernel):
            for tile in range(full):
                turn(Feature(tile * kernel.tile), kernel.tile)
        else:
            keys = [(operation.name, j) for operation in sums for j in self._blocks]
            totals.update({key: self._lanes.constant(self._neutral(key[0])) for key in keys})
            carried = [(self._lanes.real, totals[key]) for key in keys]
            with self._lanes.loop(0, full * kernel.tile, kernel.tile, carried, "features") as loop:
                totals.update(zip(keys, loop.carried, strict=True))
                self._loop_depth += 1
                turn(Feature(0, loop.index), kernel.tile)
                self._loop_depth -= 1
                loop.carried = [totals[key] for key in keys]
        if rest:
            turn(Feature(full * kernel.tile), rest)
        self._local = {}
        for (name, j), value in totals.items():
            self._define(name, Feature(0), j, value)

    def _must_be_written_out(self, kernel: Kernel) -> bool:
        """Whether the kernel hands on or takes values in registers, which loops cannot index."""
        names = {operation.name for operation in kernel.operations} | {
            self._plan.view(name).value for operation in kernel.operations for name in operation.operands
        }
        return any(self._is_in_registers(name) for name in names if self._plan.type(name).features)

    def _is_in_registers(self, name: str) -> bool:
        type_ = self._plan.type(name)
        made = self._plan.made_by.get(name)
        if made is None or not type_.has_rows or type_.element == "bool":
            return False
        return type_.n_features * self._plan.rows_at_once <= IN_REGISTERS and name not in self._plan.kept

    def _emit_operation(self, operation: Operation, kernel: Kernel, feature: Feature, n: int) -> None:
        if operation.op == "contract":
            self._contract(operation, kernel, feature, n)
            return
        for c in range(n):
            for j in self._blocks:
                at = feature.plus(c)
                if operation.op == "expand":
                    value = self._expanded(operation, at, j)
                elif self._is_added_to_contraction(operation, kernel):
                    value = self._local[kernel.operations[0].name, c, j]
                else:
                    value = self._elementwise(operation, at, c, j)
                self._local[operation.name, c, j] = value
                self._define(operation.name, at, j, value)

    def _elementwise(self, operation: Operation, at: Feature, c: int, j: int) -> str:
        assert is_elementwise(operation), operation.op
        operands = [self._fetch(name, at, j, c) for name in operation.operands]
        element = self._plan.type(operation.operands[0]).element
        if operation.op == "equal" and element == "i64":
            return equal_integers(self._lanes, *operands)
        if operation.op == "to_real" and element == "i64":
            return real_of_integer(self._lanes, *operands)
        emitters = NARROW_EMITTERS if operation.attributes and operation.op in NARROW_EMITTERS else EMITTERS
        return emitters[operation.op](self._lanes, *operands)

    def _expanded(self, operation: Operation, at: Feature, j: int) -> str:
        value = self._fetch(operation.operands[0], Feature(0), j)
        if operation["axis"] != ROWS:
            return value
        return self._where_live(value, j, 0.0)

    def _accumulate(self, operation: Operation, feature: Feature, n: int, totals: dict[tuple[str, int], str]) -> None:
        for j in self._blocks:
            for c in range(n):
                value = self._fetch(operation.operands[0], feature.plus(c), j, c)
                key = (operation.name, j)
                if key not in totals:
                    totals[key] = value
                elif operation.op == "sum":
                    totals[key] = self._lanes.add(totals[key], value)
                else:
                    totals[key] = largest(self._lanes, totals[key], value)

    def _neutral(self, name: str) -> float:
        return 0.0 if self._plan.made_by[name].op == "sum" else -float("inf")

    # -- matrix products -----------------------------------------------------------------------------------------------

    def _contract(self, operation: Operation, kernel: Kernel, feature: Feature, n: int) -> None:
        rows_name, weight_name = operation.operands
        if not self._plan.type(rows_name).has_rows:
            rows_name, weight_name = weight_name, rows_name
        sums = self._first_sums(kernel, feature, n)
        size = self._plan.type(weight_name).axis(operation["over"]).size or 0
        to_feature, to_k = self._weight_strides(weight_name, operation["over"])
        # The weights of this tile: their places depend on k only by a constant stride.
        weight = self._function.at(self._pointer_of(weight_name), feature, to_feature)

        def add_products(k: Feature, count: int) -> None:
            for step in range(count):
                xs = [self._fetch(rows_name, k.plus(step), j) for j in range(self._m)]
                for c in range(n):
                    address = self._function.at(weight, k.plus(step), to_k, c * to_feature)
                    w = self._lanes.spread(self._lanes.load_scalar(address))
                    for j in range(self._m):
                        total = sums[c * self._m + j]
                        sums[c * self._m + j] = self._lanes.fma(xs[j], w, total) if total else self._lanes.mul(xs[j], w)

        if size * n * self._m <= _UNROLLED_PRODUCTS or self._is_in_registers(self._plan.view(rows_name).value):
            add_products(Feature(0), size)
        else:
            whole = size - size % _UNROLLED_K
            sums[:] = [total or self._lanes.constant(0.0) for total in sums]
            carried = [(self._lanes.real, value) for value in sums]
            with self._lanes.loop(0, whole, _UNROLLED_K, carried, "products") as loop:
                sums[:] = loop.carried
                self._loop_depth += 1
                add_products(Feature(0, loop.index), _UNROLLED_K)
                self._loop_depth -= 1
                loop.carried = list(sums)
            add_products(Feature(whole), size - whole)
        for c in range(n):
            for j in range(self._m):
                self._local[operation.name, c, j] = sums[c * self._m + j]
                if not self._adds_to_contraction(kernel):
                    self._define(operation.name, feature.plus(c), j, sums[c * self._m + j])

    def _first_sums(self, kernel: Kernel, feature: Feature, n: int) -> list[str]:
        """Begin with what is added to the product anyway, such as the bias; else with nothing."""
        if not self._adds_to_contraction(kernel):
            return [""] * (n * self._m)
        contraction, addition = kernel.operations[:2]
        (added,) = [name for name in addition.operands if name != contraction.name]
        return [self._fetch(added, feature.plus(c), j) for c in range(n) for j in range(self._m)]

    def _adds_to_contraction(self, kernel: Kernel) -> bool:
        return len(kernel.operations) > 1 and self._is_added_to_contraction(kernel.operations[1], kernel)

    def _is_added_to_contraction(self, operation: Operation, kernel: Kernel) -> bool:
        """Whether an operation adds numbers without rows to the kernel's product, and nothing else uses the product."""
        if kernel.contraction is None or operation is not kernel.operations[1] or operation.op != "add":
            return False
        name = kernel.contraction.name
        others = [other for other in operation.operands if other != name]
        uses = sum(name in user.operands for user in self._plan.block.operations)
        return len(others) == 1 and uses == 1 and not self._plan.type(others[0]).has_rows

    def _weight_strides(self, name: str, over: str) -> tuple[int, int]:
        """Return the bytes from one output feature to the next, and from one summed feature to the next."""
        axes = self._plan.type(name).axes
        size = self._lanes.size_bytes
        inner = (axes[-1].size or 0) * size
        return (inner, size) if axes[-1].name == over else (size, inner)

    # -- values ------------------------------------------------------------------------------------------------------

    def _fetch(self, name: str, feature: Feature, j: int, c: int | None = None) -> str:
        """Return a value's register for one feature and one block of rows.

        ``c`` is the feature's place within the tile at hand, where the value may have just been computed.
        """
        if c is not None and (name, c, j) in self._local:
            return self._local[name, c, j]
        type_ = self._plan.type(name)
        view = self._plan.view(name)
        at = feature.plus(view.first_feature) if type_.features else Feature(0)
        if at.index is None and (view.value, at.constant, j) in self._registers:
            return self._registers[view.value, at.constant, j]
        if not type_.has_rows:
            return self._without_rows(view.value, at)
        pointer = self._function.at(self._frame, at, self._function.vector_bytes, self._offset(view.value, j))
        kind = self._lanes.int if type_.element == "i64" else self._lanes.real
        value = self._lanes.register(f"load {kind}, ptr {pointer}, align {self._function.vector_bytes}")
        if self._loop_depth == 0 and at.index is None and type_.n_features == 1:
            self._registers[view.value, at.constant, j] = value
        return value

    def _without_rows(self, name: str, at: Feature) -> str:
        made = self._plan.made_by.get(name)
        if made is not None and made.op == "constant":
            return self._lanes.constant(made["value"])
        if made is not None and made.op == "index":
            return self._index(at)
        key = (name, at.constant)
        if at.index is None and key in self._spread:
            return self._spread[key]
        size = self._lanes.size_bytes
        if made is not None:
            assert not made.type.axes, f"{name} has features but no rows"
            address = self._lanes.offset(self._memory["numbers"], self._places.numbers[name] * size)
        else:
            address = self._function.at(self._pointer_of(name), at, size)
        value = self._lanes.spread(self._lanes.load_scalar(address))
        # Only what is needed often: keeping each bias in a register would leave none for sums.
        if self._loop_depth == 0 and made is not None:
            self._spread[key] = value
        return value

    def _index(self, at: Feature) -> str:
        if at.index is None:
            return self._lanes.integer(at.constant)
        bits = 32 if self._lanes.size_bytes == 4 else 64
        number = self._lanes.int_add(at.index, at.constant)
        if bits == 32:
            number = self._lanes.register(f"trunc i64 {number} to i32")
        return self._lanes.spread_integer(number)

    def _pointer_of(self, name: str) -> str:
        """Return where a weight or fixed array starts."""
        name = self._plan.view(name).value
        if name in self._layout.weights:
            return self._lanes.offset(self._memory["weights"], self._layout.weights[name] * self._lanes.size_bytes)
        return self._lanes.offset(self._memory["fixed"], self._layout.fixed[name] * self._lanes.size_bytes)

    def _offset(self, name: str, j: int) -> int:
        return j * self._stride + self._plan.places[name] * self._function.vector_bytes

    def _define(self, name: str, at: Feature, j: int, value: str) -> None:
        """Make a value known beyond its kernel: in memory if it is kept, in registers if it is small."""
        if name in self._plan.masked:
            value = self._where_live(value, j, 0.0)
        if name in self._plan.kept and self._plan.type(name).element != "bool":
            pointer = self._function.at(self._frame, at, self._function.vector_bytes, self._offset(name, j))
            self._lanes.store(value, pointer)
        small = self._plan.type(name).n_features * self._plan.rows_at_once <= IN_REGISTERS
        if at.index is None and self._loop_depth == 0 and (small or not self._plan.type(name).features):
            self._registers[name, at.constant, j] = value

    def _copy(self, operation: Operation) -> None:
        """Write a joined or padded value feature by feature."""
        if operation.op == "pad":
            self._fill_zero(operation)
        start = operation["start"] if operation.op == "pad" else 0
        for name in operation.operands:
            size = self._plan.type(name).n_features
            if size <= IN_REGISTERS or self._is_in_registers(self._plan.view(name).value):
                for f in range(size):
                    self._copy_feature(operation.name, name, Feature(f), start)
            else:
                with self._lanes.loop(0, size, name="copy") as loop:
                    self._loop_depth += 1
                    self._copy_feature(operation.name, name, Feature(0, loop.index), start)
                    self._loop_depth -= 1
            start += size

    def _copy_feature(self, target: str, source: str, feature: Feature, start: int) -> None:
        for j in range(self._m):
            value = self._fetch(source, feature, j)
            pointer = self._function.at(
                self._frame, feature.plus(start), self._function.vector_bytes, self._offset(target, j)
            )
            self._lanes.store(value, pointer)

    def _fill_zero(self, operation: Operation) -> None:
        with self._lanes.loop(0, operation.type.n_features, name="zero") as loop:
            for j in range(self._m):
                offset = self._offset(operation.name, j)
                pointer = self._function.at(self._frame, Feature(0, loop.index), self._function.vector_bytes, offset)
                self._lanes.store(self._lanes.constant(0.0), pointer)

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _live_lanes(self, j: int) -> str:
        """Return which lanes of a block are rows; the last block may have lanes beyond the last row."""
        lanes = self._lanes
        first = lanes.int_mul(lanes.int_add(self._block, j), lanes.width)
        left = lanes.register(f"sub nsw i64 %n_rows, {first}")
        if lanes.size_bytes == 4:
            left = lanes.register(f"trunc i64 {left} to i32")
        return lanes.int_compare("slt", lanes.lane_numbers(), lanes.spread_integer(left))

    def _add_to_sum(self, operation: Operation) -> None:
        lanes = self._lanes
        pointer = lanes.offset(self._memory["sums"], self._places.sums[operation.name] * self._function.vector_bytes)
        total = lanes.load(pointer)
        values = [self._fetch(operation.operands[0], Feature(0), j) for j in range(self._m)]
        if operation.op == "sum_log":
            values = [self._log_of_product(operation, values)]
        else:
            values = [self._where_live(value, j, 0.0) for j, value in enumerate(values)]
        for value in values:
            total = lanes.add(total, value)
        lanes.store(total, pointer)

    def _log_of_product(self, operation: Operation, values: list[str]) -> str:
        """Return the sum of logarithms as that of one product: each factor is at most ``most``, so it stays finite."""
        assert operation["most"] ** len(values) < 1e38, "the product of so many numbers may overflow"
        product, *others = [self._where_live(value, j, 1.0) for j, value in enumerate(values)]
        for value in others:
            product = self._lanes.mul(product, value)
        return NARROW_EMITTERS["log"](self._lanes, product)

    def _where_live(self, value: str, j: int, otherwise: float) -> str:
        return self._lanes.select(self._live[j], value, self._lanes.constant(otherwise))
