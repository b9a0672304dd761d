"""Pass: compute what is known now, and write what remains with fewer operations.

Each rule looks at one operation and returns what it may be replaced by: another value, or another operation. Rules keep
every number as it is, NaN and infinity included; what is only equal in exact arithmetic is not a rule. The last two are
the exception: sums over rows may be taken in any order, and the logarithms of a few rows as that of their product where
that stays finite; both leave the loss as exact as it was.

=======================================  =====================  ================================================
operation                                becomes                why
=======================================  =====================  ================================================
an op of constants                       a constant             known now
detach x                                 x                      it only mattered to gradients
neg (neg x)                              x
mul x 1, div x 1, add x -0               x
neg (expand s), s a scalar               expand (neg s)         once a step instead of once a row
op (expand x over features) y            op x y                 elementwise ops repeat operands by themselves
sum (sub (log a) b) over rows            sub (sum_log a) (sum b)
sum (neg x)                              neg (sum x)
=======================================  =====================  ================================================
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hotloop.compiler.eliminate import without_unused
from hotloop.compiler.rewrite import rewrite_blocks
from hotloop.program.ops import OPS
from hotloop.program.program import Block, Operation, Program
from hotloop.program.types import ROWS, Type

__all__ = ["fold"]


# The logarithm of at most eight numbers' product: it must stay finite in float32.
_MOST_OF_A_FACTOR = 3e4


def fold(program: Program) -> Program:
    """Return the program with every rule applied until none applies."""
    return rewrite_blocks(program, _fold_block)


def _fold_block(block: Block) -> Block:
    # What a rule has replaced must not count as a user any more.
    while (folded := without_unused(_Folding(block).result())) != block:
        block = folded
    return block


class _Folding:
    """One walk over a block."""

    def __init__(self, block: Block):
        self._block = block
        self._same: dict[str, str] = {}
        self._made_by: dict[str, Operation] = {}
        self._types: dict[str, Type] = {item.name: item.type for item in block.inputs}
        self._kept: list[Operation] = []

    def result(self) -> Block:
        for operation in self._block.operations:
            operands = tuple(self._same.get(name, name) for name in operation.operands)
            operation = self._without_expansions(replace(operation, operands=operands))
            replacement = self._replaced(operation)
            if isinstance(replacement, str):
                self._same[operation.name] = replacement
            else:
                for new in replacement:
                    self._kept.append(new)
                    self._made_by[new.name] = new
                    self._types[new.name] = new.type
        outputs = tuple((meaning, self._same.get(value, value)) for meaning, value in self._block.outputs)
        return Block(self._block.inputs, tuple(self._kept), outputs)

    def _replaced(self, operation: Operation) -> str | list[Operation]:
        """Return a value to use instead, or the operations that compute it."""
        made_by = [self._made_by.get(name) for name in operation.operands]
        first = made_by[0] if made_by else None
        if operation.op == "detach":
            return operation.operands[0]
        if operation.op == "neg" and first is not None and first.op == "neg":
            return first.operands[0]
        if (
            operation.op == "neg"
            and first is not None
            and first.op == "expand"
            and not self._types[first.operands[0]].axes
        ):
            below = Operation(operation.name + ".1", self._types[first.operands[0]], "neg", first.operands)
            return [below, replace(first, name=operation.name, operands=(below.name,))]
        if operation.op == "sum" and first is not None and self._only_user(operation.operands[0]):
            if first.op == "neg":
                return self._around(operation, "neg", [replace(operation, operands=first.operands)])
            if first.op == "log" and operation["over"] == ROWS.name and 0 < _most(first) <= _MOST_OF_A_FACTOR:
                return [
                    replace(
                        operation,
                        op="sum_log",
                        operands=first.operands,
                        attributes=(*operation.attributes, *first.attributes),
                    )
                ]
            if (
                first.op == "sub"
                and operation["over"] == ROWS.name
                and self._is_log(first.operands[0])
                and all(self._types[x] == self._types[first.name] for x in first.operands)
            ):
                return self._around(operation, "sub", [replace(operation, operands=(name,)) for name in first.operands])
        if operation.op in ("mul", "div", "add"):
            neutral = -0.0 if operation.op == "add" else 1.0
            if self._is_constant(operation.operands[1], neutral) and self._keeps_type(operation, 0):
                return operation.operands[0]
            if (
                operation.op != "div"
                and self._is_constant(operation.operands[0], neutral)
                and self._keeps_type(operation, 1)
            ):
                return operation.operands[1]
        constants = [made for made in made_by if made is not None and made.op == "constant"]
        if made_by and len(constants) == len(made_by) and OPS[operation.op].kind == "elementwise":
            return [self._computed(operation, constants)]
        return [operation]

    def _around(self, operation: Operation, op: str, parts: list[Operation]) -> list[Operation]:
        """Return operations that apply ``op`` to parts instead."""
        parts = [replace(part, name=f"{operation.name}.{number}") for number, part in enumerate(parts, 1)]
        return [*parts, Operation(operation.name, operation.type, op, tuple(part.name for part in parts))]

    def _only_user(self, name: str) -> bool:
        return len(self._block.users.get(name, ())) == 1

    def _is_log(self, name: str) -> bool:
        made = self._made_by.get(name)
        return made is not None and made.op == "log" and self._only_user(name)

    def _computed(self, operation: Operation, constants: list[Operation]) -> Operation:
        if operation.type.element not in ("f32", "f64"):
            return operation
        dtype: Any = np.float32 if operation.type.element == "f32" else np.float64
        with np.errstate(all="ignore"):
            value = float(dtype(OPS[operation.op].meaning(*(dtype(constant["value"]) for constant in constants))))
        return replace(
            operation, op="constant", operands=(), attributes=(("value", value), ("element", operation.type.element))
        )

    def _without_expansions(self, operation: Operation) -> Operation:
        """Let an elementwise operation take what was expanded over features, if its own type stays."""
        if OPS[operation.op].kind != "elementwise":
            return operation
        for place, name in enumerate(operation.operands):
            made = self._made_by.get(name)
            if made is None or made.op != "expand" or made["axis"] == ROWS:
                continue
            operands = (*operation.operands[:place], made.operands[0], *operation.operands[place + 1 :])
            inferred = OPS[operation.op].infer(
                tuple(self._types[name] for name in operands), dict(operation.attributes)
            )
            if set(inferred.axes) == set(operation.type.axes):
                operation = replace(operation, operands=operands)
        return operation

    def _is_constant(self, name: str, value: float) -> bool:
        made = self._made_by.get(name)
        return made is not None and made.op == "constant" and repr(made["value"]) == repr(value)

    def _keeps_type(self, operation: Operation, place: int) -> bool:
        return self._types[operation.operands[place]] == operation.type


def _most(log: Operation) -> float:
    """Return the largest operand that a logarithm is promised, 0 without a promise."""
    return float(dict(log.attributes).get("most", 0.0))
