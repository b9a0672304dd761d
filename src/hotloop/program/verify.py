"""What a legal program is; runs between passes."""

from __future__ import annotations

from hotloop.program.ops import OPS, TypeMismatch
from hotloop.program.program import Block, Operation, Program
from hotloop.program.types import Type

__all__ = ["InvalidProgram", "verify"]

_ROLES = {"data", "weight", "fixed", "gradient", "slot", "scalar", "clip"}


class InvalidProgram(Exception):
    """A program that is not legal: a mistake in whatever made it. Says which value, and why."""


def verify(program: Program) -> None:
    """Raise unless the program is legal.

    Each value is defined once and before it is used; each operation's type is what its op infers from its operands;
    every output exists; updates change weights that the step has, each weight once, and keep types.

    Raises
    ------
    InvalidProgram
    """
    for title, block in program.blocks:
        _verify_block(title, block)
    _verify_updates(program)


def _verify_block(title: str, block: Block) -> None:
    known: dict[str, Type] = {}
    for item in block.inputs:
        _expect(item.name not in known, f"{title}: {item.name} is defined twice")
        _expect(item.role in _ROLES, f"{title}: {item.name} has the unknown role {item.role!r}")
        known[item.name] = item.type
    for operation in block.operations:
        _verify_operation(title, operation, known)
        known[operation.name] = operation.type
    for meaning, value in block.outputs:
        _expect(value in known, f"{title}: the output {meaning!r} is {value}, which does not exist")


def _verify_operation(title: str, operation: Operation, known: dict[str, Type]) -> None:
    where = f"{title}: {operation.name}"
    _expect(operation.name not in known, f"{where} is defined twice")
    _expect(operation.op in OPS, f"{where} is made by {operation.op!r}, which is no op")
    for operand in operation.operands:
        _expect(operand in known, f"{where} takes {operand}, which is not defined before")
    try:
        inferred = OPS[operation.op].infer(
            tuple(known[name] for name in operation.operands), dict(operation.attributes)
        )
    except (TypeMismatch, KeyError, IndexError, TypeError) as error:
        raise InvalidProgram(f"{where}: {operation.op} {error}") from None
    _expect(
        set(inferred.axes) == set(operation.type.axes) and inferred.element == operation.type.element,
        f"{where} is {operation.type}, but {operation.op} of its operands is {inferred}",
    )


def _verify_updates(program: Program) -> None:
    weights = {item.name: item.type for item in program.weights}
    gradients = dict(program.step.outputs)
    changed: set[str] = set()
    for number, update in enumerate(program.updates):
        for name in update.weights:
            _expect(name in weights, f"update {number} changes {name}, which is no weight")
            _expect(name not in changed, f"{name} is changed twice")
            _expect(f"gradient of {name}" in gradients, f"{name} has no gradient")
            gradient = program.step.types[gradients[f"gradient of {name}"]]
            _expect(gradient == weights[name], f"the gradient of {name} is {gradient}, and {name} is {weights[name]}")
            changed.add(name)
        outputs = dict(update.block.outputs)
        for slot in ("weight", *update.slots):
            _expect(slot in outputs, f"update {number} does not give a new {slot}")
            kept = update.block.types[outputs[slot]] == update.block.types[slot]
            _expect(kept, f"update {number} changes the type of {slot}")
        clips = any(item.role == "clip" for item in update.block.inputs)
        _expect(not clips or "clip" in gradients, f"update {number} clips, but the step computes no clip")


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise InvalidProgram(what)
