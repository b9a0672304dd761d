"""Pass: find what must be kept in memory, and give each kept value its place in the frame.

A value is kept if something other than its own kernel needs it: another kernel, a sum over rows, a later phase. Values
of few features stay in registers between the kernels of one phase. Two values share a place if none is needed while the
other is made; the rows' inputs keep theirs, since a full batch is laid out once. A value that only sums over rows need
from some moment on, and these transposed, has its transpose in its place, which is as large as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from hotloop.compiler.layout import padded
from hotloop.compiler.plan import BlockPlan, Kernel, Plan
from hotloop.compiler.target import Target
from hotloop.program.program import Operation

__all__ = ["IN_REGISTERS", "reuse_buffers"]

IN_REGISTERS = 16
"""Vectors of one value, features times blocks of rows, up to which kernels hand it on in registers."""


def reuse_buffers(plan: Plan, target: Target) -> Plan:
    """Return the plan with kept values, masks and places in the frame."""
    lanes = target.lanes(plan.program.element)
    return replace(plan, step=_placed(plan.step, lanes), evaluation=plan.evaluation and _placed(plan.evaluation, lanes))


def _placed(plan: BlockPlan, lanes: int) -> BlockPlan:
    lifetimes = _lifetimes(plan)
    in_place = _transposed_in_place(plan, lifetimes)

    def size(name: str) -> int:
        n_features = plan.type(name).n_features
        return padded(n_features, lanes) if name in in_place else n_features

    plan = replace(plan, kept=frozenset(lifetimes), masked=_masked(plan))
    places: dict[str, int] = {}
    end = 0
    for item in plan.block.inputs_of("data"):
        places[item.name] = end
        end += item.type.n_features
    placed: list[tuple[str, int, int]] = []
    for name, (made, last) in lifetimes.items():
        # Taken, while this value lives, by those whose lives overlap with its own.
        taken = sorted(
            (places[other], places[other] + size(other))
            for other, other_made, other_last in placed
            if other_made <= last and made <= other_last
        )
        place = end
        for start, stop in taken:
            if place + size(name) <= start:
                break
            place = max(place, stop)
        places[name] = place
        placed.append((name, made, last))
    total = max([end, *(places[name] + size(name) for name in lifetimes)])
    transposed = {name: places[name] for name in lifetimes if name in in_place}
    for reduction in (reduction for phase in plan.phases for reduction in phase.reductions):
        name = reduction.operation.operands[-1]
        if reduction.lanes_are_features and name not in transposed:
            transposed[name] = total
            total += padded(plan.type(name).n_features, lanes)
    return replace(plan, places=places, transposed=transposed, frame_features=total)


def _transposed_in_place(plan: BlockPlan, lifetimes: dict[str, tuple[int, int]]) -> set[str]:
    """Return the values whose transpose can take their place: nothing else needs them from the sums over rows on."""
    found: set[str] = set()
    moment = 0
    for phase in plan.phases:
        moment += len(phase.kernels)
        transposed = {r.operation.operands[-1] for r in phase.reductions if r.lanes_are_features}
        others = [r.operation.operands[0] for r in phase.reductions]
        others += [r.operation.operands[-1] for r in phase.reductions if not r.lanes_are_features]
        for name in transposed & lifetimes.keys():
            uses = [other for other in (*others, *transposed) if plan.view(other).value == name]
            if lifetimes[name][1] == moment and uses == [name]:
                found.add(name)
        # The sums of products, and those of one number a row.
        moment += 2
    # There is one place for each transpose: an earlier phase would put it there too soon.
    phases_of = Counter(name for phase in plan.phases for name in {r.operation.operands[-1] for r in phase.reductions})
    return {name for name in found if phases_of[name] == 1}


def _lifetimes(plan: BlockPlan) -> dict[str, tuple[int, int]]:
    """Return for each kept value the moments at which it is made and last used; kernels count as one moment each."""
    made: dict[str, tuple[int, int, Kernel]] = {}
    last: dict[str, int] = {}
    kept: set[str] = set()
    for moment, (phase, kernel, operations) in enumerate(_moments(plan)):
        for operation in operations:
            for operand in operation.operands:
                name = plan.view(operand).value
                if name in made:
                    # What is in memory for one user may be read from there by another, which alone would not need it.
                    last[name] = moment
                    if _needs_memory(plan, name, made[name], phase, kernel, operation, operand):
                        kept.add(name)
        if kernel is not None:
            for operation in operations:
                if operation.type.element != "bool":
                    made.setdefault(operation.name, (moment, phase, kernel))
    return {name: (made[name][0], last[name]) for name in made if name in kept}


def _moments(plan: BlockPlan) -> Iterator[tuple[int, Kernel | None, tuple[Operation, ...]]]:
    for number, phase in enumerate(plan.phases):
        for kernel in phase.kernels:
            yield number, kernel, kernel.operations
        yield number, None, tuple(reduction.operation for reduction in phase.reductions)
        # Sums of one number a row are added up while it is in a register.
        yield (
            number,
            None,
            tuple(operation for operation in phase.row_sums if _is_from_earlier(plan, number, operation)),
        )


def _is_from_earlier(plan: BlockPlan, number: int, operation: Operation) -> bool:
    name = plan.view(operation.operands[0]).value
    return not any(name == made.name for kernel in plan.phases[number].kernels for made in kernel.operations)


def _needs_memory(
    plan: BlockPlan,
    name: str,
    made: tuple[int, int, Kernel],
    phase: int,
    kernel: Kernel | None,
    user: Operation,
    operand: str,
) -> bool:
    _, made_in_phase, maker = made
    if kernel is None or phase != made_in_phase:
        return True
    if user.op in ("join", "pad") or plan.made_by[name].op in ("join", "pad"):
        return True
    features = plan.type(name).n_features
    return kernel is not maker and bool(plan.type(name).features) and features * plan.rows_at_once > IN_REGISTERS


def _masked(plan: BlockPlan) -> frozenset[str]:
    """Return values summed over rows that nothing else makes zero in lanes beyond the last row."""
    zero = _zero_beyond_last_row(plan)
    masked = set()
    for phase in plan.phases:
        for reduction in phase.reductions:
            names = [plan.view(name).value for name in reduction.operation.operands]
            if not zero.intersection(names):
                masked.add(next((name for name in names if name in plan.made_by), names[0]))
    return frozenset(masked)


def _zero_beyond_last_row(plan: BlockPlan) -> set[str]:
    """Return the values that are products of something zero there; ``expand`` over rows is, by definition.

    Lanes beyond the last row repeat a real row: what they multiply is finite wherever the real row's is.
    """
    zero: set[str] = set()
    for operation in plan.block.operations:
        among = [name in zero for name in operation.operands]
        constants = [_is_zero(plan, name) for name in operation.operands]
        if operation.op == "expand":
            holds = operation.type.has_rows and (not plan.type(operation.operands[0]).has_rows or among[0])
        elif operation.op in ("mul", "contract"):
            holds = any(among)
        elif operation.op == "div":
            holds = among[0]
        elif operation.op == "select":
            holds = all(one or other for one, other in zip(among[1:], constants[1:], strict=True))
        elif operation.op in ("add", "sub", "neg", "sum", "rename", "cut", "pad", "join", "abs", "sign"):
            holds = all(among)
        else:
            holds = False
        if holds:
            zero.add(operation.name)
    return zero


def _is_zero(plan: BlockPlan, name: str) -> bool:
    made = plan.made_by.get(name)
    return made is not None and made.op == "constant" and made["value"] == 0.0
