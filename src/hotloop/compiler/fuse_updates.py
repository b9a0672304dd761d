"""Pass: update weights as soon as their gradients are summed, so that gradients do not pass through memory.

::

    gradient[...] = sums                                   w = weights[...]
    ...                                          ->        weights[...] = w - lr * sums
    weights[...] -= lr * gradient[...]

A step of a small network has few products for each weight, so that a second pass over all weights shows. It is done for
all weights or none: where the update is short, each gradient is one sum over rows of the whole batch, and nothing else
needs a gradient (as clipping does) or, afterwards, a weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hotloop.compiler.plan import BlockPlan, Plan

__all__ = ["fuse_updates"]

# Operations of an update up to which its code may follow every tile of sums.
_FEW_OPERATIONS = 12


def fuse_updates(plan: Plan) -> Plan:
    """Return the plan with updates beside sums, where that is possible and short."""
    is_short = all(len(update.block.operations) <= _FEW_OPERATIONS for update in plan.updates)
    return replace(plan, updates_with_sums=is_short and _is_possible(plan))


def _is_possible(plan: Plan) -> bool:
    """Whether each weight's gradient is one sum that nothing else needs, and no weight is needed after the sums."""
    step = plan.step
    trained = {name for update in plan.updates for name in update.weights}
    if not trained or step.is_chunked or any(update.block.inputs_of("clip") for update in plan.updates):
        return False
    outputs = dict(step.block.outputs)
    gradients = [outputs[f"gradient of {name}"] for name in trained]
    sums = set(_sums(step))
    used = {name for operation in step.block.operations for name in operation.operands}
    if len(set(gradients)) < len(gradients) or not sums.issuperset(gradients) or used.intersection(gradients):
        return False
    first = next(number for number, phase in enumerate(step.phases) if phase.reductions)
    later = step.phases[first + 1 :]
    if any(phase.kernels or phase.row_sums or phase.reductions for phase in later):
        return False
    needed = {step.view(name).value for phase in later for operation in phase.once for name in operation.operands}
    return not needed & trained


def _sums(step: BlockPlan) -> Iterator[str]:
    """Yield the values with features that are summed over rows."""
    for phase in step.phases:
        for reduction in phase.reductions:
            yield reduction.operation.name
            if reduction.beside is not None:
                yield reduction.beside.name
