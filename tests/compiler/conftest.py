"""IR to compile: y = a * x + y over whole vectors, with a fused multiply-add where there is one."""

from __future__ import annotations

import ctypes

import pytest

SAXPY = """
declare VECTOR @llvm.OPERATION.vLANESf32(VECTOR, VECTOR, VECTOR)

define void @saxpy(float %a, ptr noalias %x, ptr noalias %y, i64 %vectors) #0 {
entry:
  %one = insertelement VECTOR poison, float %a, i64 0
  %all = shufflevector VECTOR %one, VECTOR poison, <LANES x i32> zeroinitializer
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %bytes = mul i64 %i, BYTES
  %px = getelementptr i8, ptr %x, i64 %bytes
  %py = getelementptr i8, ptr %y, i64 %bytes
  %vx = load VECTOR, ptr %px, align 4
  %vy = load VECTOR, ptr %py, align 4
  %sum = call VECTOR @llvm.OPERATION.vLANESf32(VECTOR %all, VECTOR %vx, VECTOR %vy)
  store VECTOR %sum, ptr %py, align 4
  %next = add nuw i64 %i, 1
  %more = icmp ult i64 %next, %vectors
  br i1 %more, label %loop, label %done
done:
  ret void
}
attributes #0 = { ATTRIBUTES }
"""


@pytest.fixture(scope="session")
def saxpy_ir():
    """Return a function from a target to IR."""

    def write(target):
        lanes = target.lanes("f32")
        names = {
            "OPERATION": "fma" if target.fused else "fmuladd",
            "VECTOR": f"<{lanes} x float>",
            "LANES": str(lanes),
            "BYTES": str(4 * lanes),
            "ATTRIBUTES": target.function_attributes(),
        }
        text = SAXPY
        for name, value in names.items():
            text = text.replace(name, value)
        return text

    return write


@pytest.fixture(scope="session")
def run_saxpy():
    """Return a function that runs a linked saxpy and gives y."""

    def run(library, a, x, y):
        assert len(x) == len(y)
        assert len(x) % 16 == 0
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_float, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
        numbers = ctypes.c_float * len(x)
        data, result = numbers(*x), numbers(*y)
        prototype(library.address("saxpy"))(a, data, result, len(x) // run.lanes)
        return list(result)

    return run
