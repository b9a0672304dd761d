"""The compiler as a list of passes: from a program to code that can be called.

::

    program --eliminate, fold--> program --fuse_elementwise, choose_tiles, fuse_updates,
            reuse_buffers--> plan
            --emit_program--> LLVM IR --machine_code--> object code --link--> functions

Each pass is a file and a function of one name, and leaves behind a legal program or plan. Compiled code is kept
twice: in this process, and on disk for the next one, by all that it depends on.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hotloop.compiler.cache import ObjectCache
from hotloop.compiler.cache_folder import cache_directory
from hotloop.compiler.cache_keys import cache_key
from hotloop.compiler.choose_tiles import RowsShape, choose_tiles
from hotloop.compiler.compiled import CompiledProgram
from hotloop.compiler.layout import Layout
from hotloop.compiler.link import link
from hotloop.compiler.machine_code import object_code
from hotloop.compiler.target import Target, host_target
from hotloop.compiler.watch import Watch
from hotloop.program.program import Program

if TYPE_CHECKING:
    from hotloop.compiler.plan import Plan

__all__ = ["compile_program", "lower", "passes"]

_KEPT_PROGRAMS = 128
_kept: OrderedDict[tuple[str, Target, RowsShape, bool], CompiledProgram] = OrderedDict()
_lock = threading.Lock()
# One thread compiles a program; others that want the same one wait for it.
_compiling: dict[Any, threading.Lock] = {}


def compile_program(
    program: Program, rows: RowsShape, target: Target | None = None, *, keeps_gradients: bool = False
) -> CompiledProgram:
    """Return the machine code of a program, compiled at most once on this machine.

    Parameters
    ----------
    program : Program
    rows : RowsShape
    target : Target, optional
        This machine by default.
    keeps_gradients : bool
        Leave the gradients of each step in memory, to be looked at; the numbers are the same.

    Raises
    ------
    UnsupportedError
        If the program has a loop that cannot be compiled.
    CompilerError
        If LLVM refuses what the compiler wrote.
    """
    target = target or host_target()
    key = (program.text, target, rows, keeps_gradients)
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
            return found
        own = _compiling.setdefault(key, threading.Lock())
    try:
        with own:
            with _lock:
                found = _kept.get(key)
            if found is None:
                found = _compile(program, rows, target, keeps_gradients)
                with _lock:
                    _kept[key] = found
                    while len(_kept) > _KEPT_PROGRAMS:
                        _kept.popitem(last=False)
    finally:
        with _lock:
            _compiling.pop(key, None)
    return found


def passes(
    program: Program, rows: RowsShape, target: Target, *, keeps_gradients: bool = False
) -> Iterator[tuple[str, Program | Plan]]:
    """Yield what each pass makes of a program, by the pass's name; the first is the program itself."""
    # Imported here and below, since most processes find their code on disk.
    from hotloop.compiler.eliminate import eliminate
    from hotloop.compiler.fold import fold
    from hotloop.compiler.fuse_elementwise import fuse_elementwise
    from hotloop.compiler.fuse_updates import fuse_updates
    from hotloop.compiler.reuse_buffers import reuse_buffers

    yield "captured", program
    # Gradients repeat parts of the forward program; folding exposes more of the same and leaves values unused.
    yield "eliminate", (program := eliminate(program))
    yield "fold", (program := fold(program))
    yield "eliminate", (program := eliminate(program))
    yield "fuse_elementwise", (plan := fuse_elementwise(program))
    yield "choose_tiles", (plan := choose_tiles(plan, target, rows))
    if not keeps_gradients:
        yield "fuse_updates", (plan := fuse_updates(plan))
    # Last, since what is kept in memory depends on how much is worked on at once.
    yield "reuse_buffers", reuse_buffers(plan, target)


def lower(
    program: Program, rows: RowsShape, target: Target, watch: Watch | None = None, *, keeps_gradients: bool = False
) -> Plan:
    """Return the plan of a program after all passes, each verified."""
    watch = watch or Watch()
    stage: Program | Plan = program
    for name, stage in watch.stages(passes(program, rows, target, keeps_gradients=keeps_gradients)):
        watch.check(name, stage, target)
    assert not isinstance(stage, Program), "the last pass makes a plan"
    return stage


def _compile(program: Program, rows: RowsShape, target: Target, keeps_gradients: bool) -> CompiledProgram:
    lanes = target.lanes(program.element)
    watch = Watch()
    cache = ObjectCache(cache_directory())
    key = cache_key(program.text, repr(target), repr((rows, keeps_gradients)))
    code = None if watch.wants_all_stages else cache.get(key)
    if code is None:
        from hotloop.compiler.emit_run import emit_program

        plan = lower(program, rows, target, watch, keeps_gradients=keeps_gradients)
        with watch.timed("emit_program"):
            ir = emit_program(plan, target)
        watch.code("cpu.ll", ir)
        with watch.timed("object_code"):
            code = object_code(ir, target)
        watch.machine_code(ir, target)
        cache.put(key, code)
    return CompiledProgram(program, Layout.of(program, lanes), lanes, link(code))
