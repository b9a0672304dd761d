"""From LLVM IR to functions that run: targets, machine code, the linker."""

from hotloop.compiler.link import Library, link
from hotloop.compiler.machine_code import assembly, object_code, optimised_ir
from hotloop.compiler.target import TARGET_NAMES, Target, host_target, named_target

__all__ = [
    "TARGET_NAMES",
    "Library",
    "Target",
    "assembly",
    "host_target",
    "link",
    "named_target",
    "object_code",
    "optimised_ir",
]
