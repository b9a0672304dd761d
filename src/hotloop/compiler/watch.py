"""Showing what the compiler does: times, passes that changed something, programs and code, as ``config.py`` says."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hotloop.compiler.machine_code import assembly, optimised_ir
from hotloop.compiler.plan import Plan
from hotloop.compiler.target import Target
from hotloop.compiler.verify_plan import InvalidPlan, verify_plan
from hotloop.config import debug_level, dump_directory, verifies
from hotloop.errors import CompilerError
from hotloop.files import write_atomically
from hotloop.program.program import Program
from hotloop.program.verify import InvalidProgram, verify

__all__ = ["Watch"]


class Watch:
    """Looks on while one program is compiled."""

    def __init__(self) -> None:
        self._level, self._directory = debug_level(), dump_directory()
        self._verifies = verifies()
        self._before = ""

    @property
    def wants_all_stages(self) -> bool:
        """Whether compiling must happen although the code is known."""
        return self._directory is not None or self._level >= 3

    def stages(self, stages: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """Pass stages on, telling how long each took and what it changed."""
        number, started_s = 0, time.perf_counter()
        for name, stage in stages:
            self._tell_time(name, time.perf_counter() - started_s)
            if self.wants_all_stages:
                self._show(number, name, str(stage))
            yield name, stage
            number, started_s = number + 1, time.perf_counter()

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Tell how long the body took."""
        started_s = time.perf_counter()
        yield
        self._tell_time(name, time.perf_counter() - started_s)

    def check(self, name: str, stage: Program | Plan, target: Target) -> None:
        """Verify what a pass made, if checks are wanted; a mistake is told with the pass's name.

        Raises
        ------
        CompilerError
        """
        if not self._verifies:
            return
        try:
            if isinstance(stage, Program):
                verify(stage)
            else:
                verify_plan(stage, target)
        except (InvalidProgram, InvalidPlan) as error:
            where = (
                f"its stages lie in {self._directory}" if self._directory else "HOTLOOP_DUMP=directory keeps the stages"
            )
            kind = "program" if isinstance(stage, Program) else "plan"
            raise CompilerError(
                f"a mistake in hotloop's compiler: the pass {name} made an illegal {kind}", why=str(error), see=where
            ) from error

    def code(self, name: str, text: str) -> None:
        """Show and keep generated code."""
        if self._level >= 4:
            _tell(f"{name}:\n{text}")
        self._keep(name, text)

    def machine_code(self, ir: str, target: Target) -> None:
        """Show and keep what LLVM makes of the code."""
        if self._directory is not None or self._level >= 4:
            self.code("cpu.opt.ll", optimised_ir(ir, target))
            self.code("cpu.s", assembly(ir, target))

    def _tell_time(self, name: str, seconds: float) -> None:
        if self._level >= 2:
            _tell(f"{name}: {seconds * 1e3:.2f} ms")

    def _show(self, number: int, name: str, text: str) -> None:
        if self._level >= 3 and number and text != self._before:
            _tell(f"{name} changed the program")
        if self._level >= 5:
            _tell(f"after {name}:\n{text}")
        self._before = text
        self._keep(f"{number:02}-{name}.txt", text)

    def _keep(self, name: str, text: str) -> None:
        if self._directory is not None:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_atomically(self._directory / name, text.encode())


def _tell(text: str) -> None:
    print(f"hotloop: {text}", file=sys.stderr)
