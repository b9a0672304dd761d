"""Pass: divide a program into loops, elementwise operations joining the loop that makes or uses their operands.

For each operation in order, :class:`_Fusion` asks where its result is at home:

* without rows: ``once``, at the start of the first phase in which all it needs is known; or, if it sums over rows,
  ``row_sums`` or ``reductions`` at the end of a phase;
* with rows: the earliest kernel over the same features at which all its operands are there, or a new one.

Afterwards operations **sink** into the kernel that uses them, where that leaves less to be kept in memory: the
derivative of tanh is computed from tanh's result when the gradient comes by, not beside tanh. Comparisons are never
kept: each kernel that uses one compares again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hotloop.compiler.plan import BlockPlan, Kernel, Phase, Plan, Reduction, View, is_elementwise, resolve_view
from hotloop.errors import UnsupportedError
from hotloop.program.program import Block, Operation, Program
from hotloop.program.types import Axis

__all__ = ["fuse_elementwise"]

# Computed where they are used, from nothing.
_SOURCES = ("constant", "index")
# These fill whole values, feature after feature, and nothing joins them.
_COPIES = ("join", "pad")


def fuse_elementwise(program: Program) -> Plan:
    """Return the loops of a program, not yet tiled or placed in memory.

    Raises
    ------
    UnsupportedError
        If an operation fits none of the loops that can be compiled.
    """
    evaluation = program.evaluation
    return Plan(
        program,
        _Fusion(program.step).plan(),
        None if evaluation is None else _Fusion(evaluation).plan(),
        program.updates,
    )


def _side_by_side(operations: list[Operation]) -> list[Reduction]:
    """Let each sum over rows go along with a contraction whose first operand is the same."""
    sums = {operation.operands[0]: operation for operation in operations if operation.op == "sum"}
    reductions = []
    for operation in operations:
        if operation.op == "contract":
            reductions.append(Reduction(operation, sums.pop(operation.operands[0], None)))
    return [*reductions, *(Reduction(operation) for operation in sums.values())]


def _is_comparison(operation: Operation) -> bool:
    return operation.type.element == "bool"


@dataclass
class _OpenKernel:
    axis: Axis | None
    operations: list[Operation]
    is_copy: bool = False


@dataclass
class _OpenPhase:
    once: list[Operation] = field(default_factory=list)
    kernels: list[_OpenKernel] = field(default_factory=list)
    row_sums: list[Operation] = field(default_factory=list)
    reductions: list[Operation] = field(default_factory=list)


class _Fusion:
    """One block on its way to loops."""

    def __init__(self, block: Block):
        self._block = block
        self._phases: list[_OpenPhase] = [_OpenPhase()]
        self._views: dict[str, View] = {}
        # The first phase whose kernels can use a value.
        self._phase_of: dict[str, int] = {item.name: 0 for item in block.inputs}
        # Phase and place of the kernel that makes a value with rows.
        self._kernel_of: dict[str, tuple[int, int]] = {}
        self._made_by = {operation.name: operation for operation in block.operations}

    def plan(self) -> BlockPlan:
        for operation in self._block.operations:
            self._put(operation)
        self._check_outputs()
        for phase in self._phases:
            self._sink(phase)
        phases = tuple(
            Phase(
                tuple(phase.once),
                tuple(Kernel(kernel.axis, tuple(kernel.operations)) for kernel in phase.kernels if kernel.operations),
                tuple(phase.row_sums),
                tuple(_side_by_side(phase.reductions)),
            )
            for phase in self._phases
        )
        return BlockPlan(self._block, phases, self._views)

    def _put(self, operation: Operation) -> None:
        phase = max((self._phase_of[name] for name in operation.operands), default=0)
        self._phase_of[operation.name] = phase
        view = resolve_view(operation, self._views)
        if view is not None:
            self._views[operation.name] = view
        elif operation.type.has_rows:
            self._put_in_kernel(operation, phase)
        elif any(self._block.types[name].has_rows for name in operation.operands):
            self._check_sum(operation)
            self._phase_of[operation.name] = phase + 1
            sums = self._phase(phase).reductions if operation.type.axes else self._phase(phase).row_sums
            sums.append(operation)
        elif operation.op not in _SOURCES:
            self._check_once(operation)
            self._phase(phase).once.append(operation)

    def _phase(self, number: int) -> _OpenPhase:
        while len(self._phases) <= number:
            self._phases.append(_OpenPhase())
        return self._phases[number]

    def _check_outputs(self) -> None:
        """Refuse gradients that nothing computes: loops write into the gradients' places, and copy nothing there."""
        for meaning, value in self._block.outputs:
            if meaning.startswith("gradient of ") and (value not in self._made_by or value in self._views):
                raise UnsupportedError(
                    f"cannot compile the {meaning}",
                    why=f"it is {self._block.types[value]} under another name",
                    do='use engine="eager"',
                )

    def _check_sum(self, operation: Operation) -> None:
        """Refuse what loses the rows, and is neither a sum over them nor of products over them."""
        types = [self._block.types[name] for name in operation.operands]
        known = ("sum", "contract") if operation.type.axes else ("sum", "sum_log")
        if operation.op in known and all(type_.has_rows and len(type_.features) <= 1 for type_ in types):
            return
        raise UnsupportedError(
            f"cannot compile {operation.op} of {', '.join(map(str, types))}",
            why="over rows, numbers and products of features are summed, and nothing else",
            do='use engine="eager"',
        )

    def _check_once(self, operation: Operation) -> None:
        types = {self._block.types[name] for name in operation.operands if self._block.types[name].axes}
        if not types or operation.op == "square_sum" or (is_elementwise(operation) and types == {operation.type}):
            return
        raise UnsupportedError(
            f"cannot compile {operation.op} of {', '.join(map(str, types))}",
            why="without rows, numbers are combined element by element only",
            do='use engine="eager"',
        )

    def _put_in_kernel(self, operation: Operation, phase: int) -> None:
        kernels = self._phase(phase).kernels
        axis = self._axis(operation)
        is_copy = operation.op in _COPIES
        earliest = max((self._available(name, axis, phase) for name in operation.operands), default=0)
        if not is_copy and operation.op != "contract":
            for place in range(earliest, len(kernels)):
                if kernels[place].axis == axis and not kernels[place].is_copy:
                    kernels[place].operations.append(operation)
                    self._kernel_of[operation.name] = (phase, place)
                    return
        kernels.append(_OpenKernel(axis, [operation], is_copy))
        self._kernel_of[operation.name] = (phase, len(kernels) - 1)

    def _axis(self, operation: Operation) -> Axis | None:
        """Return the features an operation is looped over: those of its result, or those it sums."""
        type_ = operation.type
        if operation.op in ("sum", "largest"):
            type_ = self._block.types[operation.operands[0]]
        if len(type_.features) > 1:
            raise UnsupportedError(
                f"cannot compile {operation.op} giving {type_}",
                why="rows have one axis of features",
                do='use engine="eager"',
            )
        return type_.features[0] if type_.features else None

    def _available(self, name: str, axis: Axis | None, phase: int) -> int:
        """Return the first kernel of a phase in whose loop a value can be used."""
        view = self._views.get(name)
        name = view.value if view else name
        made = self._kernel_of.get(name)
        if made is None or made[0] < phase:
            return 0
        operation = self._made_by[name]
        # Feature by feature in step with the loop; a sum over features waits for its end.
        in_step = (
            view is None and self._axis(operation) == axis and operation.type.features == ((axis,) if axis else ())
        )
        return made[1] if in_step and operation.op not in _COPIES else made[1] + 1

    def _sink(self, phase: _OpenPhase) -> None:
        for place in reversed(range(len(phase.kernels))):
            for operation in reversed(list(phase.kernels[place].operations)):
                if is_elementwise(operation) or operation.op == "expand":
                    self._sink_operation(phase, place, operation)

    def _sink_operation(self, phase: _OpenPhase, place: int, operation: Operation) -> None:
        users = self._users(phase, operation.name)
        if _is_comparison(operation):
            self._compare_again(operation)
            if place not in users:
                phase.kernels[place].operations.remove(operation)
            return
        if len(users) != 1 or self._is_used_outside_kernels(operation.name):
            return
        (user,) = users
        if user <= place or phase.kernels[user].axis != phase.kernels[place].axis or phase.kernels[user].is_copy:
            return
        if phase.kernels[user].operations[0].op == "contract" and self._feeds_contraction(phase, user, operation):
            return
        newly_kept = [name for name in set(operation.operands) if self._is_only_used_by(phase, place, name)]
        if len(newly_kept) <= 1:
            phase.kernels[place].operations.remove(operation)
            self._insert(phase.kernels[user], operation)

    def _compare_again(self, operation: Operation) -> None:
        """Put a comparison into every kernel that uses it, of later phases too."""
        for phase in self._phases:
            for user in self._users(phase, operation.name):
                if operation not in phase.kernels[user].operations:
                    self._insert(phase.kernels[user], operation)

    def _insert(self, kernel: _OpenKernel, operation: Operation) -> None:
        """Put an operation before all others but the contraction, and what it needs of the others before it."""
        # Comparisons are in several kernels; where this one comes from, theirs was known too.
        needed = [other for other in kernel.operations if other.name in operation.operands and _is_comparison(other)]
        for other in (operation, *needed):
            if other in kernel.operations:
                kernel.operations.remove(other)
            kernel.operations.insert(1 if kernel.operations and kernel.operations[0].op == "contract" else 0, other)

    def _feeds_contraction(self, phase: _OpenPhase, place: int, operation: Operation) -> bool:
        return operation.name in phase.kernels[place].operations[0].operands

    def _users(self, phase: _OpenPhase, name: str) -> set[int]:
        """Return the kernels of a phase that use a value, directly or by another name."""
        names = {name, *(alias for alias, view in self._views.items() if view.value == name)}
        return {
            place
            for place, kernel in enumerate(phase.kernels)
            if any(names.intersection(operation.operands) for operation in kernel.operations)
        }

    def _is_used_outside_kernels(self, name: str) -> bool:
        names = {name, *(alias for alias, view in self._views.items() if view.value == name)}
        everywhere = [
            operation for phase in self._phases for operation in (*phase.once, *phase.row_sums, *phase.reductions)
        ]
        return any(names.intersection(operation.operands) for operation in everywhere)

    def _is_only_used_by(self, phase: _OpenPhase, place: int, name: str) -> bool:
        """Whether a value of a kernel is used by no other, so that sinking its user makes it kept."""
        made = self._kernel_of.get(name)
        if made is None or made[1] != place or self._made_by[name].type.element == "bool":
            return False
        return self._users(phase, name) == {place} and not self._is_used_outside_kernels(name)
