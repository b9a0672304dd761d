"""The text form of programs: printed, read back, compared, cached by.

::

    step
      data x: f32[rows, features=4]
      weight w0: f32[h0=10, features=4]
      contract.1: f32[rows, h0=10] = contract(x, w0) over='features'
      loss -> div.1
    update 0 sgd of w0, b0
      ...
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from hotloop.program.program import Block, Input, Operation, Program, Update
from hotloop.program.types import ROWS, Axis, Type

__all__ = ["parse_program", "print_block", "print_program"]

_TYPE = re.compile(r"(\w+)\[(.*)\]")
_INPUT = re.compile(r"(\w+) (\S+): (\w+\[[^\]]*\])$")
_OUTPUT = re.compile(r"(.+) -> (\S+)$")
_OPERATION = re.compile(r"(\S+): (\w+\[[^\]]*\]) = (\w+)\(([^)]*)\)(.*)$")
_ATTRIBUTE = re.compile(r" (\w+)=('[^']*'|<[^>]*>|\S+)")


def print_program(program: Program) -> str:
    """Return the text form of a program."""
    lines = ["step", *print_block(program.step)]
    if program.evaluation is not None:
        lines += ["evaluation", *print_block(program.evaluation)]
    for update in program.updates:
        lines += [f"update {update.name} of {', '.join(update.weights)}", *print_block(update.block)]
    return "\n".join(lines) + "\n"


def print_block(block: Block) -> Iterator[str]:
    """Yield the lines of a block."""
    for item in block.inputs:
        yield f"  {item.role} {item.name}: {item.type}"
    for operation in block.operations:
        attributes = "".join(f" {name}={_print_attribute(value)}" for name, value in operation.attributes)
        operands = ", ".join(operation.operands)
        yield f"  {operation.name}: {operation.type} = {operation.op}({operands}){attributes}"
    for meaning, value in block.outputs:
        yield f"  {meaning} -> {value}"


def parse_program(text: str) -> Program:
    """Return the program that :func:`print_program` printed.

    Raises
    ------
    ValueError
        Naming the line that makes no sense.
    """
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("  ") and blocks:
            blocks[-1][1].append(line[2:])
        elif line.strip():
            blocks.append((line, []))
    step, evaluation, updates = None, None, []
    for title, lines in blocks:
        block = _parse_block(lines)
        if title == "step":
            step = block
        elif title == "evaluation":
            evaluation = block
        elif match := re.fullmatch(r"update (\w+) of (.*)", title):
            updates.append(Update(match[1], tuple(match[2].split(", ")), block))
        else:
            raise ValueError(f"no block is called {title!r}")
    if step is None:
        raise ValueError("a program has a step")
    return Program(step, tuple(updates), evaluation)


def _parse_block(lines: list[str]) -> Block:
    inputs: list[Input] = []
    operations: list[Operation] = []
    outputs: list[tuple[str, str]] = []
    for line in lines:
        if match := _OPERATION.fullmatch(line):
            attributes = tuple((name, _parse_attribute(value)) for name, value in _ATTRIBUTE.findall(match[5]))
            operands = tuple(match[4].split(", ")) if match[4] else ()
            operations.append(Operation(match[1], _parse_type(match[2]), match[3], operands, attributes))
        elif match := _INPUT.fullmatch(line):
            inputs.append(Input(match[2], _parse_type(match[3]), match[1]))
        elif match := _OUTPUT.fullmatch(line):
            outputs.append((match[1], match[2]))
        else:
            raise ValueError(f"this line makes no sense: {line!r}")
    return Block(tuple(inputs), tuple(operations), tuple(outputs))


def _parse_type(text: str) -> Type:
    match = _TYPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no type")
    return Type(match[1], tuple(_parse_axis(axis) for axis in match[2].split(", ") if axis))


def _parse_axis(text: str) -> Axis:
    name, _, size = text.partition("=")
    return Axis(name, int(size)) if size else ROWS


def _print_attribute(value: Any) -> str:
    return f"<{value}>" if isinstance(value, Axis) else repr(value)


def _parse_attribute(text: str) -> Any:
    if text.startswith("<"):
        return _parse_axis(text[1:-1])
    # repr writes these three without quotes, and literal_eval does not take them.
    return float(text) if text in ("inf", "-inf", "nan") else ast.literal_eval(text)
