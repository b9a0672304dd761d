"""What NVIDIA's driver says of its GPUs, through NVML: no torch, no CUDA context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hotloop.hardware.reading import GpuReading
from hotloop.sentence import Sentence

__all__ = ["count_nvidia", "read_nvidia"]


def read_nvidia(device_on_bus: Callable[[], bool]) -> tuple[tuple[GpuReading, ...], str | None]:
    """Return the GPUs that NVML knows, and why there may be some that it cannot read.

    Parameters
    ----------
    device_on_bus : callable
        Whether the machine holds an NVIDIA display device; asked only when NVML does not start.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), Sentence("NVIDIA driver not loaded: {reason}", reason=error) if device_on_bus() else None
    try:
        count = _ask(pynvml.nvmlDeviceGetCount) or 0
        return tuple(_read_gpu(pynvml, index) for index in range(count)), None
    finally:
        pynvml.nvmlShutdown()


def count_nvidia() -> int:
    """Return how many GPUs NVML knows; a millisecond where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        return int(_ask(pynvml.nvmlDeviceGetCount) or 0)
    finally:
        pynvml.nvmlShutdown()


def _read_gpu(nvml: Any, index: int) -> GpuReading:
    device = _ask(nvml.nvmlDeviceGetHandleByIndex, index)
    if device is None:  # fallen off the bus, or not this user's
        return GpuReading(index=index, kind="cuda", name=None)
    memory = _ask(nvml.nvmlDeviceGetMemoryInfo, device)
    mig = _ask(nvml.nvmlDeviceGetMigMode, device)
    return GpuReading(
        index=index,
        kind="cuda",
        name=_ask(nvml.nvmlDeviceGetName, device),
        compute_capability=_ask(nvml.nvmlDeviceGetCudaComputeCapability, device),
        total_bytes=memory.total if memory else None,
        free_bytes=memory.free if memory else None,
        cuda_cores=_ask(nvml.nvmlDeviceGetNumGpuCores, device),
        mig=bool(mig[0]) if mig else None,
        driver_version=_ask(nvml.nvmlSystemGetDriverVersion),
        cuda_version=_cuda_version(_ask(nvml.nvmlSystemGetCudaDriverVersion)),
    )


def _ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return NVML's answer, or None where this GPU or driver has none."""
    import pynvml

    try:
        return function(*arguments)
    except pynvml.NVMLError:
        return None


def _cuda_version(number: int | None) -> str | None:
    """Turn NVML's ``1000 * major + 10 * minor`` into text."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"
