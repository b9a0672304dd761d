"""What a benchmark's figures hold for: the machine, its peaks, versions, date, and how busy it was."""

from __future__ import annotations

import datetime
import os
import platform
from typing import Any

from hotloop.bench.contender import version_of
from hotloop.hardware import Machine
from hotloop.hardware.measure_cpu import measure_cpu

__all__ = ["conditions", "load", "measure_peaks"]

_PACKAGES = ("torch", "jax", "scikit-learn", "numpy", "llvmlite")


def measure_peaks(machine: Machine) -> dict[int, float]:
    """Return the arithmetic peak in GFLOP/s of one thread and of all usable ones; empty where it cannot be measured."""
    measured = measure_cpu(machine.cpu, machine.memory.available_bytes)
    counts = sorted({1, machine.cpu.usable_threads or 1})
    peaks = zip(counts, (figures.gflop_per_s for figures in measured), strict=True)
    return {threads: peak for threads, peak in peaks if peak is not None}


def conditions(machine: Machine) -> dict[str, Any]:
    """Return what is known before the first workload."""
    import hotloop

    cpu = machine.cpu
    return {
        "cpu": cpu.name,
        "microarchitecture": cpu.microarchitecture,
        "simd": cpu.simd,
        "threads": cpu.usable_threads,
        "virtual": machine.virtual,
        "operating_system": machine.operating_system,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "hotloop": hotloop.__version__,
        **{package: version_of(package) for package in _PACKAGES},
    }


def load() -> float | None:
    """Return how many processes have wanted to run over the last minute, where the system tells."""
    try:
        return round(os.getloadavg()[0], 1)
    except (AttributeError, OSError):
        return None
