"""NVIDIA's architectures by compute capability: name, year of launch, scalar cores in a multiprocessor.

Source: CUDA C++ Programming Guide, "Compute Capabilities".
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GpuGeneration", "find_gpu_generation"]


@dataclass(frozen=True)
class GpuGeneration:
    """An architecture, and the float32 cores of one multiprocessor at one compute capability."""

    name: str
    year: int
    cores_per_multiprocessor: int


_BY_CAPABILITY = {
    (3, 0): GpuGeneration("Kepler", 2012, 192),
    (3, 2): GpuGeneration("Kepler", 2012, 192),
    (3, 5): GpuGeneration("Kepler", 2012, 192),
    (3, 7): GpuGeneration("Kepler", 2012, 192),
    (5, 0): GpuGeneration("Maxwell", 2014, 128),
    (5, 2): GpuGeneration("Maxwell", 2014, 128),
    (5, 3): GpuGeneration("Maxwell", 2014, 128),
    (6, 0): GpuGeneration("Pascal", 2016, 64),
    (6, 1): GpuGeneration("Pascal", 2016, 128),
    (6, 2): GpuGeneration("Pascal", 2016, 128),
    (7, 0): GpuGeneration("Volta", 2017, 64),
    (7, 2): GpuGeneration("Volta", 2017, 64),
    (7, 5): GpuGeneration("Turing", 2018, 64),
    (8, 0): GpuGeneration("Ampere", 2020, 64),
    (8, 6): GpuGeneration("Ampere", 2020, 128),
    (8, 7): GpuGeneration("Ampere", 2020, 128),
    (8, 9): GpuGeneration("Ada Lovelace", 2022, 128),
    (9, 0): GpuGeneration("Hopper", 2022, 128),
    (10, 0): GpuGeneration("Blackwell", 2024, 128),
    (10, 3): GpuGeneration("Blackwell", 2024, 128),
    (12, 0): GpuGeneration("Blackwell", 2024, 128),
    (12, 1): GpuGeneration("Blackwell", 2024, 128),
}


def find_gpu_generation(compute_capability: tuple[int, int] | None) -> GpuGeneration | None:
    """Return the architecture of a compute capability, or None for one that is not in the table."""
    return _BY_CAPABILITY.get(compute_capability) if compute_capability else None
