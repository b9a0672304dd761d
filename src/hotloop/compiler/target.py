"""What code is made for: a processor level, and what the code generator must know of it.

====== ============ =========== =========== ==================================================
name   vector bits  registers   fused       instructions
====== ============ =========== =========== ==================================================
avx512 512          32          yes         x86-64 with AVX-512 F, BW, DQ and VL
avx2   256          16          yes         x86-64 with AVX2 and FMA
sse    128          16          no          x86-64 without any AVX
neon   128          32          yes         AArch64
====== ============ =========== =========== ==================================================

The host's own level is tuned for the host's processor and so are the levels below it, which are the host with
features taken away: what a lower level computes can be tried and timed on any newer machine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from hotloop.compiler.lock import LLVM_LOCK
from hotloop.errors import ArgumentError, UnsupportedError, nearest

__all__ = ["TARGET_NAMES", "Target", "host_target", "named_target"]

_X86_LEVELS = ("sse", "avx2", "avx512")  # each can run what stands before it
TARGET_NAMES = (*_X86_LEVELS, "neon")

_VECTOR_BITS = {"sse": 128, "avx2": 256, "avx512": 512, "neon": 128}
_REGISTERS = {"sse": 16, "avx2": 16, "avx512": 32, "neon": 32}
_NEEDED = {"avx512": ("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma"), "avx2": ("avx2", "fma"), "sse": ("sse2",)}
_GENERIC_CPU = {"sse": "x86-64", "avx2": "x86-64-v3", "avx512": "x86-64-v4", "neon": "generic"}
_ELEMENT_BITS = {"f32": 32, "f64": 64}
_LOOKUP = {("avx512", "f32"): "llvm.x86.avx512.permvar.sf.512"}

# By how a feature's name begins. Whatever implies AVX must go with it: LLVM would switch AVX on again.
_NOT_IN_AVX2 = ("avx512", "evex512", "avx10", "amx-avx512")
_NOT_IN_SSE = ("avx", "evex512", "amx-", "fma", "f16c", "xop", "vaes", "vpclmulqdq", "sha512", "sm3", "sm4")
_REMOVED: Mapping[str, tuple[str, ...]] = {"avx512": (), "avx2": _NOT_IN_AVX2, "sse": _NOT_IN_SSE}


class Target(NamedTuple):
    """A processor level to compile for; a tuple, since it is looked up at every fit.

    Parameters
    ----------
    name : str
        One of `TARGET_NAMES`.
    triple : str
        LLVM's name of architecture, system and object format.
    cpu, features : str
        What LLVM tunes for, and what it may use.
    vector_bits : int
        The widest vector that one instruction takes.
    n_registers : int
        Vector registers.
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bits: int
    n_registers: int

    def lanes(self, dtype: str) -> int:
        """Return how many numbers of ``dtype`` ("f32" or "f64") one vector holds."""
        return self.vector_bits // _ELEMENT_BITS[dtype]

    def lookup(self, dtype: str) -> str:
        """Return the LLVM intrinsic that picks lanes of a vector by number, if one instruction does; else ""."""
        return _LOOKUP.get((self.name, dtype), "")

    @property
    def fused(self) -> bool:
        """Whether ``llvm.fma`` is an instruction; elsewhere it is a call of a function that is not linked."""
        return self.name != "sse"

    @property
    def runs_here(self) -> bool:
        """Whether this machine can run the code."""
        host = _host_or_none()
        if host is None or self.triple != host.triple:
            return False
        return self.name == host.name or self.name in _X86_LEVELS[: _x86_rank(host.name)]

    def function_attributes(self) -> str:
        """Return the attributes that every function of the LLVM IR carries."""
        if self.name != "avx512":
            return "nounwind"
        # Without these LLVM halves the vectors on processors that lower their clock for wide ones.
        return 'nounwind "prefer-vector-width"="512" "min-legal-vector-width"="512"'


@functools.cache
def host_target() -> Target:
    """Return the best level of this machine.

    Raises
    ------
    UnsupportedError
        The processor is neither x86-64 nor AArch64.
    """
    with LLVM_LOCK:
        import llvmlite.binding as llvm

        triple = _jit_triple(llvm.get_process_triple())
        features = dict(llvm.get_host_cpu_features())
        cpu = llvm.get_host_cpu_name()
    name = _best_level(triple.split("-")[0], features)
    return _target(name, triple, cpu, _feature_text(features, ()))


@functools.cache
def named_target(name: str) -> Target:
    """Return the level called ``name``, as the host's processor has it where it does, else a generic one.

    Raises
    ------
    ArgumentError
        There is no such level.
    """
    if name not in TARGET_NAMES:
        raise ArgumentError(
            f"no processor level is called {name!r}.{nearest(name, TARGET_NAMES)}",
            do=f"Choose one of {', '.join(TARGET_NAMES)}.",
        )
    host = _host_or_none()
    if host is not None and host.name == name:
        return host
    if host is not None and name in _X86_LEVELS[: _x86_rank(host.name)]:
        return _lowered(host, name)
    return _foreign(name, host)


def _best_level(architecture: str, features: Mapping[str, bool]) -> str:
    if architecture in ("aarch64", "arm64"):
        return "neon"
    if architecture in ("x86_64", "amd64"):
        for name in reversed(_X86_LEVELS):
            if all(features.get(feature, False) for feature in _NEEDED[name]):
                return name
    raise UnsupportedError(
        f"hotloop cannot compile for this processor ({architecture})", why="it knows x86-64 and AArch64."
    )


def _lowered(host: Target, name: str) -> Target:
    features = {text[1:]: text[0] == "+" for text in host.features.split(",")}
    return _target(name, host.triple, host.cpu, _feature_text(features, _REMOVED[name]))


def _foreign(name: str, host: Target | None) -> Target:
    """Return a level that this machine does not have: to look at its code."""
    if name == "neon":
        return _target(name, "aarch64-unknown-linux-gnu", _GENERIC_CPU[name], "+neon")
    same_architecture = host is not None and host.name in _X86_LEVELS
    triple = host.triple if host is not None and same_architecture else "x86_64-unknown-linux-gnu"
    return _target(name, triple, _GENERIC_CPU[name], "")


def _feature_text(features: Mapping[str, bool], removed: tuple[str, ...]) -> str:
    """Return the features as LLVM reads them: in order, so what is switched off stands last and stays off."""
    on = [name for name, there in sorted(features.items()) if there and not name.startswith(removed)]
    off = [name for name in sorted(features) if name not in on]
    return ",".join([*(f"+{name}" for name in on), *(f"-{name}" for name in off)])


def _target(name: str, triple: str, cpu: str, features: str) -> Target:
    return Target(name, triple, cpu, features, _VECTOR_BITS[name], _REGISTERS[name])


def _x86_rank(name: str) -> int:
    return _X86_LEVELS.index(name) if name in _X86_LEVELS else 0


def _host_or_none() -> Target | None:
    try:
        return host_target()
    except UnsupportedError:
        return None


def _jit_triple(triple: str) -> str:
    """Return the triple for code that stays in memory: the linker inside LLVM takes ELF best under Windows."""
    return f"{triple}-elf" if "windows" in triple and not triple.endswith("-elf") else triple
