"""What torch says of the accelerators it can use: the only way to AMD's, Apple's and Intel's."""

from __future__ import annotations

from typing import Any

from hotloop.hardware.reading import GpuReading

__all__ = ["read_torch"]


def read_torch(torch: Any, cpu_name: str | None) -> tuple[tuple[str, GpuReading], ...]:
    """Return torch's device names, each with what torch knows of it.

    Parameters
    ----------
    torch : module
        torch itself.
    cpu_name : str, optional
        Apple's GPU is part of the processor and bears its name.
    """
    found: list[tuple[str, GpuReading]] = []
    if torch.cuda.is_available():
        found += [(f"cuda:{k}", _read_cuda(torch, k)) for k in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(("mps", _read_mps(torch, cpu_name)))
    if torch.xpu.is_available():
        found += [(f"xpu:{k}", _read_xpu(torch, k)) for k in range(torch.xpu.device_count())]
    return tuple(found)


def _read_cuda(torch: Any, index: int) -> GpuReading:
    properties = torch.cuda.get_device_properties(index)
    amd = torch.version.hip is not None
    return GpuReading(
        index=index,
        kind="rocm" if amd else "cuda",
        name=properties.name,
        compute_capability=None if amd else (properties.major, properties.minor),
        total_bytes=properties.total_memory,
        free_bytes=torch.cuda.mem_get_info(index)[0],
        multiprocessors=properties.multi_processor_count,
    )


def _read_mps(torch: Any, cpu_name: str | None) -> GpuReading:
    on_chip = cpu_name is not None and cpu_name.startswith("Apple M")
    return GpuReading(
        index=0,
        kind="mps",
        name=cpu_name if on_chip else None,
        total_bytes=torch.mps.recommended_max_memory(),
        free_bytes=max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()),
    )


def _read_xpu(torch: Any, index: int) -> GpuReading:
    properties = torch.xpu.get_device_properties(index)
    return GpuReading(
        index=index,
        kind="xpu",
        name=properties.name,
        total_bytes=properties.total_memory,
        free_bytes=torch.xpu.mem_get_info(index)[0],
    )
