"""What a legal plan is; runs between the passes that make and change plans.

A plan of a block is legal if

* each operation stands in exactly one loop, but for what needs none: sources, other names of a value, and comparisons,
  which are repeated wherever they are used;
* whatever an operation takes is known by then: in a kernel from its own loop, from an earlier kernel or phase;
* tiles fit the registers;
* what is kept has a place within the frame that it shares with nothing while both are needed; a transpose may take the
  place of its own value where nothing else needs that;
* weights are updated only when nothing needs them or their gradients any more.
"""

from __future__ import annotations

from collections.abc import Iterator

from hotloop.compiler.layout import padded
from hotloop.compiler.plan import BlockPlan, Kernel, Phase, Plan, Reduction
from hotloop.compiler.target import Target
from hotloop.program.program import Operation

__all__ = ["InvalidPlan", "verify_plan"]

_SOURCES = ("constant", "index")
_OVER_FEATURES = ("sum", "largest")
_COPIES = ("join", "pad")


class InvalidPlan(Exception):
    """A plan that is not legal: a mistake in the pass that made it. Says which value, and why."""


def verify_plan(plan: Plan, target: Target) -> None:
    """Raise unless the plan is legal for a processor.

    Raises
    ------
    InvalidPlan

    Notes
    -----
    An eighth of a millisecond for the lesson's network.
    """
    for title, block in (("step", plan.step), ("evaluation", plan.evaluation)):
        if block is None:
            continue
        try:
            _verify_homes(block)
            _Walk(block).verify()
            _verify_tiles(block, target.n_registers)
            # Before the pass that gives places nothing has any.
            if block.frame_features:
                _verify_places(block, target.lanes(plan.program.element))
        except InvalidPlan as mistake:
            raise InvalidPlan(f"{title}: {mistake}") from None
    if plan.updates_with_sums:
        _verify_updates(plan)


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise InvalidPlan(what)


# -- each operation in one loop --------------------------------------------------------------------------------------


def _verify_homes(plan: BlockPlan) -> None:
    homes = {operation.name: 0 for operation in plan.block.operations}
    for phase in plan.phases:
        for operation in _operations(phase):
            name = operation.name
            _expect(plan.made_by.get(name) == operation, f"{name} is no operation of the block")
            homes[name] += 1
    for operation in plan.block.operations:
        found = homes[operation.name]
        if operation.op in _SOURCES or operation.name in plan.views:
            _expect(found == 0, f"{operation.name} needs no loop, and stands in {found}")
        elif operation.type.element != "bool":
            _expect(found == 1, f"{operation.name} stands in {found} loops")


def _operations(phase: Phase) -> Iterator[Operation]:
    yield from phase.once
    for kernel in phase.kernels:
        yield from kernel.operations
    yield from phase.row_sums
    for reduction in phase.reductions:
        yield from _of_reduction(reduction)


def _of_reduction(reduction: Reduction) -> Iterator[Operation]:
    yield reduction.operation
    if reduction.beside is not None:
        yield reduction.beside


# -- operands before their use ---------------------------------------------------------------------------------------


class _Walk:
    """One block in the order in which its loops run."""

    def __init__(self, plan: BlockPlan):
        self._plan = plan
        self._known = {item.name for item in plan.block.inputs}
        self._known.update(operation.name for operation in plan.block.operations if operation.op in _SOURCES)

    def verify(self) -> None:
        for number, phase in enumerate(self._plan.phases):
            _expect(
                not (number and self._plan.is_chunked and phase.kernels), "rows that come in chunks are needed again"
            )
            for operation in phase.once:
                _expect(not operation.type.has_rows, f"{operation.name} has rows, and is computed once")
                self._define(operation)
            for kernel in phase.kernels:
                self._verify_kernel(kernel)
            over_rows = [*phase.row_sums, *(own for item in phase.reductions for own in _of_reduction(item))]
            for operation in over_rows:
                self._verify_sum_over_rows(operation)
            self._known.update(operation.name for operation in over_rows)
        for meaning, value in self._plan.block.outputs:
            _expect(self._plan.view(value).value in self._known, f"{value}, the {meaning}, is never known")

    def _verify_kernel(self, kernel: Kernel) -> None:
        """Follow one turn of a kernel's loop: what sums over it, and what it copies, is known when it ends."""
        in_step: set[str] = set()
        at_the_end: set[str] = set()
        for place, operation in enumerate(kernel.operations):
            _expect(operation.type.has_rows, f"{operation.name} has no rows, and is computed for each")
            _expect(operation.op != "contract" or place == 0, f"{operation.name} does not begin its kernel")
            for name in operation.operands:
                is_made_here = name in in_step and operation.op != "contract"
                _expect(
                    is_made_here or self._is_known(name), f"{operation.name} takes {name}, which is not known by then"
                )
            self._verify_axis(kernel, operation)
            waits = operation.op in _OVER_FEATURES or operation.op in _COPIES
            (at_the_end if waits else in_step).add(operation.name)
        self._known |= in_step | at_the_end

    def _verify_axis(self, kernel: Kernel, operation: Operation) -> None:
        of_loop = self._plan.type(operation.operands[0]) if operation.op in _OVER_FEATURES else operation.type
        features = () if kernel.axis is None else (kernel.axis,)
        _expect(of_loop.features == features, f"{operation.name} stands in a loop over {kernel.axis or 'rows alone'}")

    def _verify_sum_over_rows(self, operation: Operation) -> None:
        self._define(operation, is_known_now=False)
        _expect(not operation.type.has_rows, f"{operation.name} has rows, and is summed over them")
        _expect(
            all(self._plan.type(name).has_rows for name in operation.operands),
            f"{operation.name} sums over rows that not all it takes have",
        )

    def _define(self, operation: Operation, *, is_known_now: bool = True) -> None:
        for name in operation.operands:
            _expect(self._is_known(name), f"{operation.name} takes {name}, which is not known by then")
        if is_known_now:
            self._known.add(operation.name)

    def _is_known(self, name: str) -> bool:
        return name in self._known or self._plan.view(name).value in self._known


# -- tiles -----------------------------------------------------------------------------------------------------------


def _verify_tiles(plan: BlockPlan, n_registers: int) -> None:
    m = plan.rows_at_once
    for phase in plan.phases:
        for kernel in phase.kernels:
            n, name = kernel.tile, kernel.operations[0].name
            _expect(1 <= n <= kernel.size, f"{name}: a tile of {n} in a loop over {kernel.size}")
            needed = m * n + m + 1 if kernel.contraction is not None else m * n
            _expect(needed <= n_registers, f"{name}: a tile of {m} x {n} needs {needed} of {n_registers} registers")
        for reduction in phase.reductions:
            (p, q), name = reduction.tile, reduction.operation.name
            _expect(p >= 1 and q >= 1, f"{name}: a tile of {p} x {q}")
            needed = _registers_of(reduction) + 1
            _expect(needed <= n_registers, f"{name}: a tile of {p} x {q} needs {needed} of {n_registers} registers")


def _registers_of(reduction: Reduction) -> int:
    """Return how many vectors a tile's sums and the operands kept beside them are; one more passes by."""
    p, q = reduction.tile
    if reduction.operation.op == "sum":
        return p
    if reduction.lanes_are_features:
        return p * q + q
    return p * q + (p if reduction.beside else 0) + min(p, q)


# -- places ----------------------------------------------------------------------------------------------------------


def _verify_places(plan: BlockPlan, lanes: int) -> None:
    inputs = [item.name for item in plan.block.inputs_of("data")]
    lives = _lives(plan)
    always = (-1, len(plan.block.operations))
    taken: list[tuple[int, int, int, int, str]] = []

    def take(name: str, start: int, size: int, life: tuple[int, int], beside: str = "") -> None:
        _expect(start >= 0 and start + size <= plan.frame_features, f"{name} lies outside the frame")
        for other_start, other_stop, other_made, other_last, other in taken:
            apart = start + size <= other_start or other_stop <= start or life[1] < other_made or other_last < life[0]
            _expect(apart or other == beside, f"{name} and {other} share a place, and both are needed")
        taken.append((start, start + size, *life, name))

    for name in (*inputs, *plan.kept):
        _expect(name in plan.places, f"{name} is kept, and has no place")
        _expect(name in inputs or name in lives, f"{name} is kept, and no kernel makes it")
        # A full batch's rows are laid out once: nothing may be written over them.
        take(name, plan.places[name], plan.type(name).n_features, always if name in inputs else lives[name])
    for name, start in plan.transposed.items():
        size = padded(plan.type(name).n_features, lanes)
        if name in inputs:
            # Written when rows are gathered.
            take(f"the transpose of {name}", start, size, always)
            continue
        for moment, phase in _moments_of_sums(plan):
            if any(item.lanes_are_features and item.operation.operands[-1] == name for item in phase.reductions):
                own = name if start == plan.places.get(name) and _is_read_transposed(plan, name, phase) else ""
                is_last = own and lives[own][1] == moment
                take(f"the transpose of {name}", start, size, (moment, moment), own if is_last else "")
    for name in plan.masked:
        _expect(name in plan.kept, f"{name} must be zero beyond the last row, and nothing writes it")
    for phase in plan.phases:
        for name in (name for item in phase.reductions for name in item.operation.operands):
            value = plan.view(name).value
            _expect(value in plan.kept or value in inputs, f"{value} is summed over rows, and not kept")


def _is_read_transposed(plan: BlockPlan, name: str, phase: Phase) -> bool:
    """Whether no sum of a phase reads a value as it is."""
    for item in phase.reductions:
        *others, last = item.operation.operands
        as_they_are = others if item.lanes_are_features and last == name else [*others, last]
        if any(plan.view(operand).value == name for operand in as_they_are):
            return False
    return True


def _moments_of_sums(plan: BlockPlan) -> Iterator[tuple[int, Phase]]:
    """Yield when each phase's sums over rows are done, on the clock of :func:`_lives`."""
    moment = 0
    for phase in plan.phases:
        moment += len(phase.kernels)
        yield moment, phase
        moment += 1


def _verify_updates(plan: Plan) -> None:
    """Check that weights may be updated as their gradients are summed."""
    step, outputs = plan.step, dict(plan.step.block.outputs)
    _expect(not step.is_chunked, "weights are updated before all chunks of rows are summed")
    summed = {
        operation.name: number
        for number, phase in enumerate(step.phases)
        for item in phase.reductions
        for operation in (item.operation, item.beside)
        if operation is not None
    }
    first: int | None = None
    gradients: set[str] = set()
    for update in plan.updates:
        _expect(not update.block.inputs_of("clip"), f"{update.name} takes gradients clipped before they all are known")
        for weight in update.weights:
            gradient = outputs[f"gradient of {weight}"]
            _expect(gradient in summed, f"the gradient of {weight} is no sum over rows")
            _expect(gradient not in gradients, f"the gradient of {weight} is that of another weight")
            gradients.add(gradient)
            first = summed[gradient] if first is None else min(first, summed[gradient])
    for operation in step.block.operations:
        _expect(gradients.isdisjoint(operation.operands), f"{operation.name} takes a gradient that is kept nowhere")
    if first is None:
        return
    changed = {weight for update in plan.updates for weight in update.weights}
    for phase in step.phases[first + 1 :]:
        for operation in _operations(phase):
            values = {step.view(name).value for name in operation.operands}
            _expect(not values & changed, f"{operation.name} takes a weight that is updated before")


def _lives(plan: BlockPlan) -> dict[str, tuple[int, int]]:
    """Return when each value with rows is made and last used; a kernel is a moment, and so are the sums after it."""
    made: dict[str, int] = {}
    last: dict[str, int] = {}
    moment = 0
    for phase in plan.phases:
        for kernel in phase.kernels:
            for operation in kernel.operations:
                made.setdefault(operation.name, moment)
                last.update(dict.fromkeys((plan.view(name).value for name in operation.operands), moment))
            moment += 1
        for name in _summed_from_memory(plan, phase):
            last[name] = moment
        moment += 1
    return {name: (at, max(at, last.get(name, at))) for name, at in made.items()}


def _summed_from_memory(plan: BlockPlan, phase: Phase) -> Iterator[str]:
    """Yield what is summed over rows at the end of a phase, but for single numbers that it has just made."""
    made_here = {operation.name for kernel in phase.kernels for operation in kernel.operations}
    for operation in phase.row_sums:
        yield from {plan.view(name).value for name in operation.operands} - made_here
    for reduction in phase.reductions:
        yield from (plan.view(name).value for name in reduction.operation.operands)
