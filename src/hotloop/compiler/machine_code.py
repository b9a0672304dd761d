"""LLVM IR to machine code, in little time.

The IR is written by hotloop's own compiler: unrolled, vectorised and scheduled, so that LLVM's own pipelines find
nothing in it. Of 1,600 vector instructions in tiles of multiply-adds (an AMD Zen 4, one core) the code ran equally
fast within the noise, from level 1 on, and took

======================================== ========== ==================================================
part                                     time       alternatives
======================================== ========== ==================================================
parse and verify                         8 ms
passes: sroa, simplify-cfg               1 ms       instcombine 4 ms; O1 65 ms, O2 88 ms, O3 90 ms
code generator, level 1                  44 ms      level 2 45 ms; level 0 14 ms, but 1.8 times slower
======================================== ========== ==================================================

Both vectorisers are off, and floating point is never relaxed: each number is what the IR says.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from typing import Any

from hotloop.compiler.lock import LLVM_LOCK
from hotloop.compiler.target import Target
from hotloop.config import dump_directory, verifies
from hotloop.errors import CompilerError
from hotloop.files import write_atomically

__all__ = ["assembly", "object_code", "optimised_ir"]

# Level 0 keeps variables in memory; 2 and 3 gain nothing.
_CODE_GENERATOR_LEVEL = 1


def object_code(ir: str, target: Target) -> bytes:
    """Compile ``ir`` into an object file for ``target``.

    Raises
    ------
    CompilerError
        LLVM refuses the IR.
    """
    with _optimised(ir, target) as (machine, module):
        return bytes(machine.emit_object(module))


def assembly(ir: str, target: Target) -> str:
    """Return the same code as text; raises what `object_code` raises."""
    with _optimised(ir, target) as (machine, module):
        return str(machine.emit_assembly(module))


def optimised_ir(ir: str, target: Target) -> str:
    """Return the IR that the code generator is given; raises what `object_code` raises."""
    with _optimised(ir, target) as (_, module):
        return str(module)


@contextlib.contextmanager
def _optimised(ir: str, target: Target) -> Iterator[tuple[Any, Any]]:
    """Hold LLVM's target machine and the module after the passes.

    All of LLVM's objects are closed here, each before what it lies in: a garbage collection would close them in any
    order, and a module that outlives its context ends the process.
    """
    import llvmlite.binding as llvm

    with (
        LLVM_LOCK,
        _machine(target) as machine,
        # One of its own, so that nothing is left in the one that other users of llvmlite share.
        llvm.create_context() as context,
        _parse(ir, context) as module,
    ):
        _complete(module, machine, ir)
        _run_passes(module, machine)
        yield machine, module


def _machine(target: Target) -> Any:
    import llvmlite.binding as llvm

    _initialise(target.runs_here)
    # Relative addresses of 32 bits: code and constants are linked into one piece of memory.
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=_CODE_GENERATOR_LEVEL, reloc="pic", codemodel="small", jit=True
    )


@functools.cache
def _initialise(native: bool) -> None:
    import llvmlite.binding as llvm

    if native:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()


def _parse(ir: str, context: Any) -> Any:
    import llvmlite.binding as llvm

    try:
        return llvm.parse_assembly(ir, context)
    except RuntimeError as error:
        raise _refused(ir, str(error)) from None


def _complete(module: Any, machine: Any, ir: str) -> None:
    """Tell the module what it is for, and check it."""
    module.triple = machine.triple
    with machine.target_data as layout:
        module.data_layout = str(layout)
    try:
        if verifies():
            module.verify()
    except RuntimeError as error:
        raise _refused(ir, str(error)) from None


def _run_passes(module: Any, machine: Any) -> None:
    import llvmlite.binding as llvm

    with (
        _tuning(llvm) as tuning,
        llvm.create_pass_builder(machine, tuning) as builder,
        llvm.create_new_function_pass_manager() as passes,
    ):
        passes.add_sroa_pass()
        passes.add_simplify_cfg_pass()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


def _tuning(llvm: Any) -> Any:
    tuning = llvm.create_pipeline_tuning_options(speed_level=1)
    tuning.loop_vectorization = False
    tuning.slp_vectorization = False
    tuning.loop_unrolling = False
    tuning.loop_interleaving = False
    return tuning


def _refused(ir: str, reason: str) -> CompilerError:
    return CompilerError(
        "a mistake in hotloop's compiler: LLVM refuses the code that it wrote",
        why=reason.strip(),
        see=_dump(ir) or "HOTLOOP_DUMP=directory keeps the code.",
    )


def _dump(ir: str) -> str | None:
    """Keep ``ir`` where the person asked for it; what the disk refuses must not hide what LLVM said."""
    directory = dump_directory()
    if directory is None:
        return None
    path = directory / f"refused-{hashlib.sha256(ir.encode()).hexdigest()[:12]}.ll"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return str(write_atomically(path, ir.encode()))
    except OSError as error:  # OutputError is one
        return f"{path} could not be written: {error}"
