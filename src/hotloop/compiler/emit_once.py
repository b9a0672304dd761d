"""What is done once a step, outside the rows, as code: single numbers, and elementwise work over weights.

::

    number[k] = number[i] / number[j]                   single numbers, in memory between functions
    gradient[...] = part1[...] + part2[...]             vectors of weights, then the remaining few one by one
"""

from __future__ import annotations

from hotloop.compiler.across_lanes import sum_across
from hotloop.compiler.elementwise import EMITTERS
from hotloop.compiler.function import Feature, Function, step_places
from hotloop.compiler.lanes import Lanes
from hotloop.compiler.plan import BlockPlan
from hotloop.program.program import Operation

__all__ = ["Once"]


class Once:
    """Writes the operations without rows of one block into a function.

    Parameters
    ----------
    function : Function
    plan : BlockPlan
    n_rows : str
        Register that holds the batch's rows.
    """

    def __init__(self, function: Function, plan: BlockPlan, n_rows: str):
        self._function, self._plan, self._n_rows = function, plan, n_rows
        self._single = function.single
        self._places = step_places(plan, function.module)
        self._numbers, self._sums = function.pointer("numbers"), function.pointer("sums")
        self._gradients = function.pointer("gradients")
        self._weights = function.pointer("weights")
        # Comparisons of numbers are used within the function that makes them.
        self._masks: dict[str, str] = {}

    def clear_sums(self) -> None:
        """Set every sum over rows to zero."""
        for place in self._places.sums.values():
            self._function.lanes.store(self._function.lanes.constant(0.0), self._sum(place))

    def clear_gradients(self) -> None:
        """Set everything that sums over rows are added to to zero."""
        lanes = self._function.lanes
        end = self._places.n_flat
        whole = end - end % lanes.width
        with lanes.loop(0, whole, lanes.width, name="clear") as loop:
            pointer = self._function.at(self._gradients, Feature(0, loop.index), lanes.size_bytes)
            lanes.store(lanes.constant(0.0), pointer)

    def finish_sums(self, operations: tuple[Operation, ...]) -> None:
        """Add up the lanes of sums over rows."""
        for operation in operations:
            total = self._function.lanes.load(self._sum(self._places.sums[operation.name]))
            self._store(operation.name, sum_across(self._function.lanes, total))

    def emit(self, operations: tuple[Operation, ...]) -> None:
        """Compute operations in order."""
        for operation in operations:
            if operation.op == "count":
                kind = self._single.scalar
                self._store(operation.name, self._single.register(f"sitofp i64 {self._n_rows} to {kind}"))
            elif operation.op == "square_sum":
                self._square_sum(operation)
            elif operation.type.axes:
                self._over_weights(operation)
            else:
                operands = [self.number(name) for name in operation.operands]
                if operation.type.element == "bool":
                    self._masks[operation.name] = EMITTERS[operation.op](self._single, *operands)
                else:
                    self._store(operation.name, EMITTERS[operation.op](self._single, *operands))

    def number(self, name: str) -> str:
        """Return a single number's register."""
        made = self._plan.made_by.get(name)
        if name in self._masks:
            return self._masks[name]
        if made is not None and made.op == "constant":
            return self._single.number(made["value"])
        return self._single.load_scalar(self._number(name))

    def _store(self, name: str, value: str) -> None:
        self._single.store_scalar(value, self._number(name))
        # The gradient of a weight that is a single number is wanted among the others too.
        for place in self._places.flat.get(name, ()):
            self._single.store_scalar(value, self._single.offset(self._gradients, place * self._single.size_bytes))

    def _number(self, name: str) -> str:
        return self._single.offset(self._numbers, self._places.numbers[name] * self._single.size_bytes)

    def _sum(self, place: int) -> str:
        return self._single.offset(self._sums, place * self._function.vector_bytes)

    def _over_weights(self, operation: Operation) -> None:
        def each(lanes: Lanes, at: Feature) -> None:
            operands = []
            for name in operation.operands:
                if self._plan.type(name).axes:
                    operands.append(self._load(lanes, name, at))
                else:
                    operands.append(lanes.spread(self.number(name)))
            value = EMITTERS[operation.op](lanes, *operands)
            for place in self._places.flat[operation.name]:
                pointer = self._function.at(self._gradients, at, lanes.size_bytes, place * lanes.size_bytes)
                lanes.line(f"store {lanes.real} {value}, ptr {pointer}, align {lanes.size_bytes}")

        size = operation.type.n_features
        lanes = self._function.lanes
        whole = size - size % lanes.width
        if whole:
            with lanes.loop(0, whole, lanes.width, name="weights") as loop:
                each(lanes, Feature(0, loop.index))
        for at in range(whole, size):
            each(self._single, Feature(at))

    def _square_sum(self, operation: Operation) -> None:
        lanes, name = self._function.lanes, operation.operands[0]
        size = self._plan.type(name).n_features
        whole = size - size % lanes.width
        total = self._single.number(0.0)
        if whole:
            carried = [(lanes.real, lanes.constant(0.0))]
            with lanes.loop(0, whole, lanes.width, carried, "squares") as loop:
                value = self._load(lanes, name, Feature(0, loop.index))
                loop.carried = [lanes.fma(value, value, loop.carried[0])]
            total = sum_across(lanes, loop.carried[0])
        for at in range(whole, size):
            value = self._load(self._single, name, Feature(at))
            total = self._single.fma(value, value, total)
        self._store(operation.name, total)

    def _load(self, lanes: Lanes, name: str, at: Feature) -> str:
        """Load weights' numbers, which need not be aligned to vectors."""
        name = self._plan.view(name).value
        layout = self._function.module.layout
        if name in layout.weights:
            base, place = self._weights, layout.weights[name]
        else:
            base, place = self._gradients, self._places.flat[name][0]
        pointer = self._function.at(base, at, lanes.size_bytes, place * lanes.size_bytes)
        return lanes.register(f"load {lanes.real}, ptr {pointer}, align {lanes.size_bytes}")
