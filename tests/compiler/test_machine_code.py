"""Real code at each level of this machine, code for others to look at, and clear refusals."""

from __future__ import annotations

import contextlib
import gc
import re
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotloop.compiler import TARGET_NAMES, assembly, host_target, link, named_target, object_code, optimised_ir
from hotloop.errors import CompilerError, HotloopError

RUNNABLE = [name for name in TARGET_NAMES if named_target(name).runs_here]


def as_float32(number):
    return struct.unpack("f", struct.pack("f", number))[0]


@pytest.mark.parametrize("name", RUNNABLE)
def test_each_level_computes(saxpy, name):
    write, run = saxpy
    target = named_target(name)
    library = link(object_code(write(target), target))
    x = [float(number) for number in range(64)]
    assert run(library, 3.0, x, [0.5] * 64) == [3 * number + 0.5 for number in x]


@pytest.mark.parametrize("name", RUNNABLE)
def test_a_multiply_add_rounds_once_where_it_is_fused(saxpy, name):
    """Neither contracted nor taken apart by LLVM: the numbers are what the IR says."""
    write, run = saxpy
    target = named_target(name)
    a = 1 + 2.0**-12  # its square is 1 + 2^-11 + 2^-24, which rounds to 1 + 2^-11
    result = run(link(object_code(write(target), target)), a, [a] * 16, [-1 - 2.0**-11] * 16)
    assert result == [2.0**-24 if target.fused else 0.0] * 16


def test_products_and_sums_stay_apart():
    ir = """
    define float @f(float %a, float %b, float %c) {
      %product = fmul float %a, %b
      %sum = fadd float %product, %c
      ret float %sum
    }
    """
    assert not re.search("fma", assembly(ir, host_target()))


def test_code_for_arm_is_made_anywhere(saxpy):
    write, _ = saxpy
    target = named_target("neon")
    code = object_code(write(target), target)
    if "linux" in target.triple:
        assert code[:4] == b"\x7fELF"
        assert struct.unpack_from("<H", code, 18)[0] == 183, "EM_AARCH64"
    assert re.search(r"fml[as]\s.*4s", assembly(write(target), target))


def test_wide_vectors_stay_whole(saxpy):
    write, _ = saxpy
    target = named_target("avx512")
    assert re.search(r"vfmadd\S+\s.*%zmm", assembly(write(target), target))


def test_variables_and_blocks_of_the_writer_leave_nothing_behind():
    ir = """
    define i64 @f(i64 %a) {
    entry:
      %variable = alloca i64
      store i64 %a, ptr %variable
      br label %next
    next:
      %value = load i64, ptr %variable
      ret i64 %value
    }
    """
    better = optimised_ir(ir, host_target())
    assert not re.search("alloca|load|store|br label", better)


def test_loops_are_not_vectorised():
    ir = """
    define void @f(ptr noalias %x, i64 %n) #0 {
    entry:
      br label %loop
    loop:
      %i = phi i64 [ 0, %entry ], [ %next, %loop ]
      %p = getelementptr float, ptr %x, i64 %i
      %v = load float, ptr %p
      %w = fadd float %v, 1.0
      store float %w, ptr %p
      %next = add i64 %i, 1
      %more = icmp ult i64 %next, %n
      br i1 %more, label %loop, label %done
    done:
      ret void
    }
    attributes #0 = { nounwind }
    """
    assert " x float>" not in optimised_ir(ir, host_target())


@pytest.mark.parametrize(
    ("ir", "reason"),
    [
        ("define void @f() { ret i32 %nothing }", "nothing"),
        ("no code at all", "expected top-level entity"),
        (
            "define i32 @f(i1 %c) {\n br i1 %c, label %a, label %b\na:\n %x = add i32 1, 2\n br label %b\n"
            "b:\n ret i32 %x\n}",
            "dominate",
        ),
    ],
)
def test_refusals_say_why_and_where(ir, reason, tmp_path, monkeypatch):
    monkeypatch.delenv("HOTLOOP_DUMP", raising=False)
    with pytest.raises(CompilerError, match=reason) as refusal:
        object_code(ir, host_target())
    assert isinstance(refusal.value, HotloopError)
    assert "HOTLOOP_DUMP" in str(refusal.value)

    monkeypatch.setenv("HOTLOOP_DUMP", str(tmp_path / "dump"))
    for make in (object_code, assembly, optimised_ir):
        with pytest.raises(CompilerError, match=reason) as refusal:
            make(ir, host_target())
    (dumped,) = (tmp_path / "dump").iterdir()
    assert str(dumped) in str(refusal.value)
    assert dumped.read_text() == ir


def test_a_dump_that_cannot_be_written_hides_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOTLOOP_DUMP", str(tmp_path / "file" / "below"))
    with pytest.raises(CompilerError, match="expected top-level entity"):
        object_code("no code", host_target())


@pytest.mark.slow
def test_what_llvm_refused_is_released_in_order():
    """A refusal that is kept keeps nothing of LLVM's that a garbage collection would close."""
    for ir in ("no code", "define i32 @f() {\n ret i32 7\n}\ndefine i32 @g() {\nx:\n br label %x\n}") * 5:
        with contextlib.suppress(CompilerError) as kept:
            object_code(ir, host_target())
        del kept
        gc.collect()


def test_the_same_ir_gives_the_same_code(saxpy):
    write, _ = saxpy
    ir = write(host_target())
    first = object_code(ir, host_target())
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: object_code(ir, host_target()), range(24))) == {first}
