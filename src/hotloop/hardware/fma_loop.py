"""A loop of nothing but fused multiply-adds, compiled for this CPU: its arithmetic peak.

Sketch of the code for AVX-512, with N accumulators of 16 lanes (N is 12 or 24)::

    loop:
      acc0 = fma(acc0, factor, addend)
      ...
      accN = fma(accN, factor, addend)
      i = i + 1; if i < iterations: goto loop

The accumulators are independent, so that as many multiply-adds are under way as the CPU can hold. They start
from memory and end there, and factor and addend are arguments, so that nothing can be folded away.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["FmaLoop", "compile_fma_loop", "fma_loop_ir"]

# They hide the latency (4 or 5 cycles) of two to four units; factor and addend need two registers more.
_ACCUMULATORS = {"many": 24, "few": 12}
# The fixed point of acc = acc * factor + addend is 1: no overflow and no denormals, however long it runs.
_FACTOR, _ADDEND = 0.5, 0.5


@dataclass(frozen=True)
class FmaLoop:
    """The compiled loop.

    Parameters
    ----------
    lanes : int
        float32 numbers in a vector.
    accumulators : int
        Vectors worked on in turn.
    """

    lanes: int
    accumulators: int
    function: Callable[..., None]
    engine: Any  # owns the code's memory

    @property
    def flop_per_iteration(self) -> int:
        """Operations of one turn of the loop: a multiplication and an addition per lane and accumulator."""
        return 2 * self.lanes * self.accumulators

    def run(self, iterations: int) -> list[float]:
        """Run the loop on the calling thread, without the interpreter's lock, and return the final lanes."""
        numbers = self.lanes * self.accumulators
        data = (ctypes.c_float * numbers)(*range(numbers))
        self.function(iterations, _FACTOR, _ADDEND, data)
        return list(data)


def compile_fma_loop(simd_bits: int) -> FmaLoop:
    """Compile the loop with LLVM for vectors of ``simd_bits`` on this CPU.

    Raises
    ------
    RuntimeError
        If LLVM cannot compile for this machine.
    OSError
        If the system forbids new executable code.
    """
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    arm = features.get("neon", False)
    # AVX-512 and Arm have 32 vector registers, older x86 has 16.
    accumulators = _ACCUMULATORS["many" if arm or simd_bits == 512 else "few"]
    fused = arm or features.get("fma", False)
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
    )
    scalable = features.get("sve", False) and simd_bits > 128
    source = fma_loop_ir(simd_bits // 32, accumulators, fused=fused, scalable=scalable)
    module = llvm.parse_assembly(source)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_float, ctypes.c_float, ctypes.c_void_p)
    return FmaLoop(simd_bits // 32, accumulators, prototype(engine.get_function_address("fma_loop")), engine)


def fma_loop_ir(lanes: int, accumulators: int, *, fused: bool, scalable: bool = False) -> str:
    """Return the loop as LLVM IR.

    Without ``fused`` a step is a multiplication followed by an addition. ``scalable`` promises LLVM that the
    registers of Arm's SVE are just as wide as the vectors, which it would else cut into pieces of 128 bits.
    """
    width = f"vscale_range({lanes // 4},{lanes // 4}) " if scalable else ""
    vector = f"<{lanes} x float>"
    each = range(accumulators)
    pointers = [f"%p{k} = getelementptr {vector}, ptr %data, i64 {k}" for k in each]
    starts = [f"%start{k} = load {vector}, ptr %p{k}, align 4" for k in each]
    phis = [f"%acc{k} = phi {vector} [ %start{k}, %entry ], [ %next{k}, %loop ]" for k in each]
    step = _fused_step if fused else _separate_step
    steps = [line for k in each for line in step(k, vector, lanes)]
    stores = [f"store {vector} %next{k}, ptr %p{k}, align 4" for k in each]
    return "\n".join(
        [
            f"declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})",
            "define void @fma_loop(i64 %iterations, float %factor, float %addend, ptr %data) #0 {",
            "entry:",
            *_splat("factor", vector, lanes),
            *_splat("addend", vector, lanes),
            *pointers,
            *starts,
            "br label %loop",
            "loop:",
            "%i = phi i64 [ 0, %entry ], [ %i.next, %loop ]",
            *phis,
            *steps,
            "%i.next = add i64 %i, 1",
            "%more = icmp slt i64 %i.next, %iterations",
            "br i1 %more, label %loop, label %done",
            "done:",
            *stores,
            "ret void",
            "}",
            # Without this LLVM halves the vectors of CPUs that lower their clock for wide ones.
            f'attributes #0 = {{ nounwind {width}"min-legal-vector-width"="{32 * lanes}" }}',
        ]
    )


def _splat(name: str, vector: str, lanes: int) -> list[str]:
    return [
        f"%{name}.one = insertelement {vector} poison, float %{name}, i64 0",
        f"%{name}s = shufflevector {vector} %{name}.one, {vector} poison, <{lanes} x i32> zeroinitializer",
    ]


def _fused_step(k: int, vector: str, lanes: int) -> list[str]:
    arguments = f"{vector} %acc{k}, {vector} %factors, {vector} %addends"
    return [f"%next{k} = call {vector} @llvm.fma.v{lanes}f32({arguments})"]


def _separate_step(k: int, vector: str, lanes: int) -> list[str]:
    return [
        f"%product{k} = fmul {vector} %acc{k}, %factors",
        f"%next{k} = fadd {vector} %product{k}, %addends",
    ]
