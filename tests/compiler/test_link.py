"""Linked code runs, lives as long as its library, and is never writable and executable at once."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hotloop.compiler import host_target, link, named_target, object_code
from hotloop.compiler.link import _UNRELEASED
from hotloop.compiler.lock import LLVM_LOCK
from hotloop.compiler.object_symbols import read_symbols
from hotloop.errors import CompilerError

linux = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")

MEMORY = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define void @copy(ptr %to, ptr %from, i64 %size) {
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  ret void
}
define void @move(ptr %to, ptr %from, i64 %size) {
  call void @llvm.memmove.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  ret void
}
define void @fill(ptr %to, i64 %size) {
  call void @llvm.memset.p0.i64(ptr %to, i8 7, i64 %size, i1 false)
  ret void
}
"""
CONSTANTS = """
@table = private constant [4 x i64] [i64 11, i64 22, i64 33, i64 44]
@count = global i64 0

define i64 @look(i64 %i) {
  %p = getelementptr i64, ptr @table, i64 %i
  %v = load i64, ptr %p
  ret i64 %v
}
define internal i64 @next() noinline {
  %old = load volatile i64, ptr @count
  %new = add i64 %old, 1
  store volatile i64 %new, ptr @count
  ret i64 %new
}
define i64 @counted() {
  %n = call i64 @next()
  ret i64 %n
}
"""
CALLS_SYSTEM = "declare i32 @system(ptr)\ndefine i32 @f(ptr %p) {\n %r = call i32 @system(ptr %p)\n ret i32 %r\n}"


def compiled(ir):
    return link(object_code(ir, host_target()))


def function(library, name, *arguments, result=None):
    return ctypes.CFUNCTYPE(result, *arguments)(library.address(name))


def pages_of(address):
    """Return the permissions of the pages around ``address``; None where nothing is mapped."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end, permissions = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
        if int(start, 16) <= address < int(end, 16):
            return permissions
    return None


def test_copies_and_fills():
    library = compiled(MEMORY)
    pointer, size = ctypes.c_void_p, ctypes.c_int64
    source, target = ctypes.create_string_buffer(bytes(range(200))), ctypes.create_string_buffer(200)
    function(library, "copy", pointer, pointer, size)(target, source, 200)
    assert target.raw == bytes(range(200))
    overlapping = ctypes.addressof(target) + 3
    function(library, "move", pointer, pointer, size)(overlapping, target, 100)
    assert target.raw[:103] == bytes([0, 1, 2, *range(100)])
    function(library, "fill", pointer, size)(target, 200)
    assert target.raw == b"\7" * 200


def test_constants_variables_and_calls():
    library = compiled(CONSTANTS)
    look = function(library, "look", ctypes.c_int64, result=ctypes.c_int64)
    assert [look(position) for position in range(4)] == [11, 22, 33, 44]
    counted = function(library, "counted", result=ctypes.c_int64)
    assert [counted(), counted()] == [1, 2]
    other = compiled(CONSTANTS)
    assert function(other, "counted", result=ctypes.c_int64)() == 1, "libraries share nothing"


@pytest.mark.parametrize("name", ["nothing", "next", "", "größe"])
def test_a_function_that_is_not_there(name):
    library = compiled(CONSTANTS)
    with pytest.raises(CompilerError, match="no function"):
        library.address(name)


def test_only_functions_for_memory_are_called():
    with pytest.raises(CompilerError, match="calls system"):
        compiled(CALLS_SYSTEM)


def test_a_fused_multiply_add_without_the_instruction_is_refused(saxpy):
    write, _ = saxpy
    target = named_target("sse")
    if target.triple != host_target().triple:
        pytest.skip("another architecture")
    with pytest.raises(CompilerError, match="calls fmaf"):
        link(object_code(write(target).replace("fmuladd", "fma"), target))


def test_damaged_code_is_refused():
    code = object_code(CONSTANTS, host_target())
    for damaged in (b"", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"no code", code[:40], code[: len(code) // 2], code[:-1]):
        with pytest.raises(CompilerError, match="cannot be linked"):
            link(damaged)


def test_code_for_another_processor_is_refused(saxpy):
    write, _ = saxpy
    target = named_target("sse" if host_target().name == "neon" else "neon")
    with pytest.raises(CompilerError, match="another processor"):
        link(object_code(write(target), target))


def test_symbols_of_an_object_for_macos():
    """The names come without the underscore that Mach-O puts before them."""
    target = named_target("neon")._replace(triple="arm64-apple-macosx14.0.0", features="+neon")
    symbols = read_symbols(object_code(MEMORY + CONSTANTS, target))
    assert symbols.architecture == "aarch64"
    assert symbols.defined == {"copy", "move", "fill", "look", "counted", "count"}
    assert symbols.undefined == {"memcpy", "memmove", "memset"}


def test_symbols_of_elf():
    target = named_target("neon")
    symbols = read_symbols(object_code(MEMORY + CONSTANTS, target))
    assert symbols.architecture == "aarch64"
    assert symbols.defined == {"copy", "move", "fill", "look", "counted", "count"}
    assert symbols.undefined == {"memcpy", "memmove", "memset"}


@linux
def test_no_page_is_writable_and_executable():
    before = Path("/proc/self/maps").read_text()
    library = compiled(CONSTANTS)
    assert pages_of(library.address("look")) == "r-xp"
    assert pages_of(library.address("count")) == "rw-p"
    mapped = set(Path("/proc/self/maps").read_text().splitlines()) - set(before.splitlines())
    assert not [line for line in mapped if re.search(r" [r-]wx", line)]


@linux
def test_the_memory_goes_with_the_library():
    library = compiled(CONSTANTS)
    address = library.address("look")
    assert pages_of(address) == "r-xp"
    gone = weakref.ref(library)
    del library
    gc.collect()
    assert gone() is None
    assert pages_of(address) != "r-xp"


@linux
def test_nothing_is_left_after_many_libraries():
    code = object_code(MEMORY, host_target())
    resident = lambda: int(Path("/proc/self/statm").read_text().split()[1])  # noqa: E731
    for _ in range(100):
        link(code)
    before = resident()
    for _ in range(300):
        link(code)
    assert resident() - before < 100, "pages"


def test_many_threads_link_and_run():
    code = object_code(CONSTANTS, host_target())

    def work(number):
        for turn in range(20):
            library = link(code)
            assert function(library, "counted", result=ctypes.c_int64)() == 1, (number, turn)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))


@linux
def test_a_library_let_go_while_llvm_is_busy_is_released_later():
    library = compiled(CONSTANTS)
    address = library.address("look")
    busy, done = threading.Event(), threading.Event()

    def hold():
        with LLVM_LOCK:
            busy.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    busy.wait(10)
    del library  # and does not wait
    assert pages_of(address) == "r-xp"
    done.set()
    holder.join()
    assert len(_UNRELEASED) == 1
    compiled(MEMORY)
    assert len(_UNRELEASED) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_may_fork_while_another_thread_compiles():
    """The child compiles as well: no lock is left closed in it."""
    script = """
import os, sys, threading
from hotloop.compiler import host_target, link, object_code
ir = "define i64 @f() {\\n ret i64 7\\n}"
stop = threading.Event()
def compile_on():
    while not stop.is_set():
        link(object_code(ir, host_target()))
thread = threading.Thread(target=compile_on)
thread.start()
failures = 0
for _ in range(20):
    child = os.fork()
    if child == 0:
        link(object_code(ir, host_target()))
        os._exit(0)
    failures += os.waitpid(child, 0)[1] != 0
stop.set()
thread.join()
sys.exit(failures)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_the_interpreter_ends_quietly_with_libraries_alive():
    script = """
from hotloop.compiler import host_target, link, object_code
library = link(object_code("define i64 @f() {\\n ret i64 7\\n}", host_target()))
library.itself = library
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
