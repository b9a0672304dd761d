"""Object code to functions that can be called.

LLVM's linker (ORC with JITLink) puts code and constants into one piece of memory, writes there, and only then makes
the code's pages executable and no longer writable. Each library has a linker of its own, so that nothing is left
when it goes and nothing is shared between libraries; that takes 0.1 ms more than a common one.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import weakref
from collections import deque
from collections.abc import Mapping
from typing import Any

from hotloop.compiler.lock import LLVM_LOCK
from hotloop.compiler.object_symbols import ObjectSymbols, read_symbols
from hotloop.compiler.target import Target, host_target
from hotloop.errors import CompilerError

__all__ = ["Library", "link"]

_UNRELEASED: deque[tuple[Any, Any]] = deque()


class Library:
    """Linked code, which stays in memory as long as this object lives.

    Whoever calls one of its functions must hold the library until the call returns.
    """

    def __init__(self, linker: Any, code: Any, addresses: Mapping[str, int]):
        self._addresses = dict(addresses)
        release = weakref.finalize(self, _release, code, linker)
        # When the interpreter ends a thread may still be in the code; the system takes the memory back anyway.
        release.atexit = False

    def address(self, name: str) -> int:
        """Return where the function ``name`` begins.

        Raises
        ------
        CompilerError
            There is no such function.
        """
        try:
            return self._addresses[name]
        except KeyError:
            raise CompilerError(f"a mistake in hotloop's compiler: the code has no function {name!r}") from None


def link(object_code: bytes) -> Library:
    """Link what `hotloop.compiler.machine_code.object_code` made for this machine.

    Raises
    ------
    CompilerError
        The code is damaged, or needs a function other than memcpy, memmove and memset.
    """
    symbols = _checked_symbols(object_code)
    with LLVM_LOCK:
        _release_all()
        try:
            return _linked(object_code, symbols)
        except RuntimeError as error:
            raise CompilerError("a mistake in hotloop's compiler: the code cannot be linked", why=str(error)) from error


def _checked_symbols(object_code: bytes) -> ObjectSymbols:
    try:
        symbols = read_symbols(object_code)
    except ValueError as error:
        raise CompilerError("a mistake in hotloop's compiler: the code cannot be linked", why=str(error)) from error
    if symbols.architecture != _architecture(host_target()):
        raise CompilerError(
            "a mistake in hotloop's compiler: the code cannot be linked",
            why=f"it is made for another processor ({symbols.architecture})",
        )
    # LLVM itself would take any function that this process happens to have.
    unknown = sorted(symbols.undefined - _memory_functions().keys())
    if unknown:
        raise CompilerError(f"a mistake in hotloop's compiler: the code calls {', '.join(unknown)}")
    return symbols


def _architecture(target: Target) -> str:
    return "aarch64" if target.name == "neon" else "x86_64"


def _linked(object_code: bytes, symbols: ObjectSymbols) -> Library:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # The object is machine code already: a machine without features is made in no time.
    with llvm.Target.from_triple(host_target().triple).create_target_machine(opt=0) as machine:
        linker = llvm.create_lljit_compiler(machine, use_jit_link=True, suppress_errors=True)
    parts = llvm.JITLibraryBuilder().add_object_img(object_code)
    for name in symbols.undefined:
        parts.import_symbol(name, _memory_functions()[name])
    for name in symbols.defined:
        parts.export_symbol(name)
    code = parts.link(linker, "hotloop")
    return Library(linker, code, {name: code[name] for name in symbols.defined})


@functools.cache
def _memory_functions() -> dict[str, int]:
    """Return the functions that LLVM may call where the IR copies or fills memory."""
    move, fill = _address(ctypes.memmove), _address(ctypes.memset)
    functions = {"memcpy": move, "memmove": move, "memset": fill}
    if sys.platform == "darwin":  # there LLVM fills with zeros by a function of its own
        functions["bzero"] = _address(ctypes.CDLL(None).bzero)
    return functions


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _release(code: Any, linker: Any) -> None:
    """Release a library now, or leave it to the next one if LLVM is busy.

    A garbage collection may come here on any thread, even one inside of llvmlite: to wait could be to wait for ever.
    """
    _UNRELEASED.append((code, linker))
    if LLVM_LOCK.acquire(blocking=False):
        try:
            _release_all()
        finally:
            LLVM_LOCK.release()


def _release_all() -> None:
    with contextlib.suppress(IndexError):  # no more
        while True:
            code, linker = _UNRELEASED.popleft()
            code.close()  # before the linker, which owns its memory
            linker.close()
