"""Read this machine: ask the processor, the operating system and NVIDIA's driver what each knows best."""

from __future__ import annotations

import platform
import sys
from dataclasses import fields, replace
from typing import TypeVar

from hotloop.hardware.free_memory import free_memory_bytes
from hotloop.hardware.reading import CpuReading, MachineReading

__all__ = ["read_machine"]

_Reading = TypeVar("_Reading", CpuReading, MachineReading)


def read_machine() -> MachineReading:
    """Read this machine; about 0.1 s, most of it for importing LLVM."""
    import psutil

    from hotloop.hardware.read_linux import has_nvidia_device
    from hotloop.hardware.read_nvidia import read_nvidia

    architecture = platform.machine().lower()
    reading = _merge(_read_processor(architecture), _read_system(architecture))
    gpus, gpu_error = read_nvidia(has_nvidia_device)
    return replace(
        reading,
        cpu=_with_llvm(_with_threads(reading.cpu)),
        memory_total_bytes=psutil.virtual_memory().total,
        memory_available_bytes=free_memory_bytes("cpu"),
        gpus=gpus,
        gpu_error=gpu_error,
    )


def _read_system(architecture: str) -> MachineReading:
    if sys.platform == "darwin":
        from hotloop.hardware.read_macos import read_macos, system_sysctl

        return read_macos(architecture, system_sysctl)
    if sys.platform == "win32":
        from hotloop.hardware.read_windows import read_windows, system_registry

        return read_windows(architecture, system_registry)
    from hotloop.hardware.read_linux import read_linux

    return read_linux(architecture)


def _read_processor(architecture: str) -> MachineReading:
    """Ask an x86 processor itself; an empty reading elsewhere, or where the system forbids it."""
    from hotloop.hardware.cpuid import compile_query, read_cpuid

    if architecture in ("x86_64", "amd64"):
        try:
            return read_cpuid(compile_query(), "", architecture)
        except (OSError, RuntimeError):
            pass
    return MachineReading(operating_system="", cpu=CpuReading(architecture))


def _with_threads(cpu: CpuReading) -> CpuReading:
    import psutil

    affinity = getattr(psutil.Process(), "cpu_affinity", None)  # macOS has none
    return replace(
        cpu,
        physical_cores=cpu.physical_cores or psutil.cpu_count(logical=False),
        threads=psutil.cpu_count(),
        affinity_threads=len(affinity()) if affinity else None,
    )


def _with_llvm(cpu: CpuReading) -> CpuReading:
    import llvmlite.binding as llvm

    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot read them on this system
        features = {}
    present = frozenset(name for name, there in features.items() if there)
    return replace(cpu, llvm_name=llvm.get_host_cpu_name() or None, features=present)


def _merge(first: _Reading, second: _Reading) -> _Reading:
    """Return ``first`` with what it does not know taken from ``second``."""
    known = {}
    for field in fields(first):
        mine, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(mine, CpuReading):
            known[field.name] = _merge(mine, other)
        else:
            known[field.name] = other if mine is None or mine == "" else mine
    return replace(first, **known)
