"""Applying a rewriting of single operations to every block of a program: what ``fold`` and ``eliminate`` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hotloop.program.program import Block, Program

__all__ = ["rewrite_blocks"]


def rewrite_blocks(program: Program, rewrite: Callable[[Block], Block]) -> Program:
    """Return the program with each of its blocks rewritten."""
    return Program(
        step=rewrite(program.step),
        updates=tuple(replace(update, block=rewrite(update.block)) for update in program.updates),
        evaluation=None if program.evaluation is None else rewrite(program.evaluation),
    )
