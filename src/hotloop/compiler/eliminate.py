"""Pass: leave out what is computed twice, or for nobody."""

from __future__ import annotations

from dataclasses import replace

from hotloop.compiler.rewrite import rewrite_blocks
from hotloop.program.program import Block, Operation, Program

__all__ = ["eliminate", "without_unused"]


def eliminate(program: Program) -> Program:
    """Return the program in which no value is computed twice and each leads to an output."""
    return rewrite_blocks(program, lambda block: without_unused(_without_repeated(block)))


def _without_repeated(block: Block) -> Block:
    same: dict[str, str] = {}
    known: dict[tuple[object, ...], str] = {}
    kept: list[Operation] = []
    for operation in block.operations:
        operands = tuple(same.get(name, name) for name in operation.operands)
        # repr tells 0.0 from -0.0, which are equal.
        key = (operation.op, operands, repr(operation.attributes), operation.type)
        if key in known:
            same[operation.name] = known[key]
        else:
            known[key] = operation.name
            kept.append(replace(operation, operands=operands))
    outputs = tuple((meaning, same.get(value, value)) for meaning, value in block.outputs)
    return Block(block.inputs, tuple(kept), outputs)


def without_unused(block: Block) -> Block:
    """Return the block without operations that lead to no output."""
    used = {value for _, value in block.outputs}
    kept: list[Operation] = []
    for operation in reversed(block.operations):
        if operation.name in used:
            used.update(operation.operands)
            kept.append(operation)
    return Block(block.inputs, tuple(reversed(kept)), block.outputs)
