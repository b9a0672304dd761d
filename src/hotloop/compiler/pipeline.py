"""The compiler as a list of passes: from a program to code that can be called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hotloop.compiler.choose_tiles import RowsShape, choose_tiles
from hotloop.compiler.eliminate import eliminate
from hotloop.compiler.emit_run import emit_program
from hotloop.compiler.fold import fold
from hotloop.compiler.fuse_elementwise import fuse_elementwise
from hotloop.compiler.plan import Plan
from hotloop.compiler.reuse_buffers import reuse_buffers
from hotloop.compiler.target import Target
from hotloop.program.program import Program

__all__ = ["lower"]


def lower(program: Program, target: Target, rows: RowsShape) -> Plan:
    program = eliminate(fold(eliminate(program)))
    plan = fuse_elementwise(program)
    plan = choose_tiles(plan, target, rows)
    return reuse_buffers(plan)
