"""LLVM IR to machine code, in little time.

The IR is written by hotloop's own compiler: unrolled, vectorised and scheduled. So LLVM's own pipelines, which
cost more than the code generator itself, would find nothing; what runs is what repairs small carelessness of the
writer. Both vectorisers are absent, and floating point is never relaxed: each number is what the IR says.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from hotloop.compiler.lock import LLVM_LOCK
from hotloop.compiler.target import Target, host_target
from hotloop.config import dump_directory, verifies
from hotloop.errors import CompilerError
from hotloop.files import write_atomically

__all__ = ["assembly", "object_code", "optimised_ir"]

# The code of level 1 was as fast as that of 2 and 3 and took the least time; level 0 keeps variables in memory.
_CODE_GENERATOR_LEVEL = 1


def object_code(ir: str, target: Target) -> bytes:
    """Compile ``ir`` into an object file for ``target``.

    Raises
    ------
    CompilerError
        LLVM refuses the IR.
    """
    with LLVM_LOCK:
        machine, module = _optimised(ir, target)
        return bytes(machine.emit_object(module))


def assembly(ir: str, target: Target) -> str:
    """Return the same code as text; raises what `object_code` raises."""
    with LLVM_LOCK:
        machine, module = _optimised(ir, target)
        return str(machine.emit_assembly(module))


def optimised_ir(ir: str, target: Target) -> str:
    """Return the IR that the code generator is given; raises what `object_code` raises."""
    with LLVM_LOCK:
        return str(_optimised(ir, target)[1])


def _optimised(ir: str, target: Target) -> tuple[Any, Any]:
    """Return LLVM's target machine and the module after the passes."""
    machine = _machine(target)
    module = _parse(ir, machine)
    _run_passes(module, machine)
    return machine, module


def _machine(target: Target) -> Any:
    import llvmlite.binding as llvm

    _initialise(target.triple == host_target().triple)
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


def _parse(ir: str, machine: Any) -> Any:
    import llvmlite.binding as llvm

    try:
        # A context of its own, so that nothing is left in the one that other users of llvmlite share.
        module = llvm.parse_assembly(ir, llvm.create_context())
        module.triple = machine.triple
        module.data_layout = str(machine.target_data)
        if verifies():
            module.verify()
    except RuntimeError as error:
        raise _refused(ir, str(error)) from error
    return module


def _run_passes(module: Any, machine: Any) -> None:
    import llvmlite.binding as llvm

    builder = llvm.create_pass_builder(machine, _tuning(llvm))
    passes = llvm.create_new_function_pass_manager()
    passes.add_simplify_cfg_pass()
    passes.add_instruction_combine_pass()
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
    directory = dump_directory()
    if directory is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)
    name = f"refused-{hashlib.sha256(ir.encode()).hexdigest()[:12]}.ll"
    return str(write_atomically(directory / name, ir.encode()))
