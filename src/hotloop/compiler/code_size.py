"""How much code a program becomes, roughly: what takes too long to compile is better refused than waited for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hotloop.errors import UnsupportedError
from hotloop.program.ops import OPS
from hotloop.program.program import Program

__all__ = ["INSTRUCTIONS", "check_code_size", "estimated_instructions"]

# Instructions of an op for one vector; of those that are not listed, 1. In float64 vector maths takes twice as many.
INSTRUCTIONS: Mapping[str, int] = {
    "exp": 16,
    "expm1": 24,
    "log": 21,
    "tanh": 20,
    "sigmoid": 18,
    "softplus": 28,
    "erf": 30,
}
# Loops over more features than this stay loops. Four vectors of rows are worked on at once, and one at the end.
_WRITTEN_OUT = 16
_COPIES = 5
# Some ten seconds of compilation, which Ctrl-C cannot interrupt.
_MOST_INSTRUCTIONS = 80_000


@lru_cache(maxsize=256)
def estimated_instructions(program: Program) -> int:
    """Return the instructions of the loops over rows, good to a factor of two."""
    total = 0
    factor = 2 if program.element == "f64" else 1
    for operation in program.step.operations:
        if not operation.type.has_rows:
            continue
        features = min(operation.type.n_features, _WRITTEN_OUT)
        if operation.op == "contract":
            total += features * 8 * _COPIES
        elif OPS[operation.op].kind == "elementwise":
            total += INSTRUCTIONS.get(operation.op, 1) * factor * features * _COPIES
    return total


def check_code_size(program: Program) -> None:
    """Raise if compiling a program would take unreasonably long.

    Raises
    ------
    UnsupportedError
    """
    size = estimated_instructions(program)
    if size > _MOST_INSTRUCTIONS:
        raise UnsupportedError(
            f"cannot compile a network this deep: its loops are about {size:,} instructions",
            why="compiling them would take longer than some ten seconds",
            do='use engine="eager", or fewer layers',
        )
