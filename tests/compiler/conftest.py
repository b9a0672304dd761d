"""IR to compile: y = a * x + y over whole vectors, with a fused multiply-add where there is one."""

from __future__ import annotations

import ctypes

import pytest

from hotloop.compiler import Library, Target

SAXPY = """
declare VECTOR @llvm.OPERATION.vLANESf32(VECTOR, VECTOR, VECTOR)

define void @saxpy(float %a, ptr noalias %x, ptr noalias %y, i64 %numbers) #0 {
entry:
  %one = insertelement VECTOR poison, float %a, i64 0
  %all = shufflevector VECTOR %one, VECTOR poison, <LANES x i32> zeroinitializer
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %bytes = mul i64 %i, 4
  %px = getelementptr i8, ptr %x, i64 %bytes
  %py = getelementptr i8, ptr %y, i64 %bytes
  %vx = load VECTOR, ptr %px, align 4
  %vy = load VECTOR, ptr %py, align 4
  %sum = call VECTOR @llvm.OPERATION.vLANESf32(VECTOR %all, VECTOR %vx, VECTOR %vy)
  store VECTOR %sum, ptr %py, align 4
  %next = add nuw i64 %i, LANES
  %more = icmp ult i64 %next, %numbers
  br i1 %more, label %loop, label %done
done:
  ret void
}
attributes #0 = { ATTRIBUTES }
"""


def saxpy_ir(target: Target) -> str:
    lanes = target.lanes("f32")
    text = SAXPY.replace("OPERATION", "fma" if target.fused else "fmuladd")
    text = text.replace("VECTOR", f"<{lanes} x float>").replace("LANES", str(lanes))
    return text.replace("ATTRIBUTES", target.function_attributes())


def run_saxpy(library: Library, a: float, x: list[float], y: list[float]) -> list[float]:
    assert len(x) == len(y)
    assert len(x) % 16 == 0
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    numbers = ctypes.c_float * len(x)
    data, result = numbers(*x), numbers(*y)
    prototype(library.address("saxpy"))(a, data, result, len(x))
    return list(result)


@pytest.fixture(scope="session")
def saxpy():
    """The IR for a target, and the call of what is linked."""
    return saxpy_ir, run_saxpy
