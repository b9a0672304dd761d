"""How much memory is free now, on the machine or on an accelerator."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from hotloop.hardware.cgroup import group_directories, memory_left_bytes

__all__ = ["free_memory_bytes"]


def free_memory_bytes(device: str = "cpu") -> int | None:
    """Return the memory that a program could still take without swapping.

    Parameters
    ----------
    device : str
        ``"cpu"`` (under 1 ms; the container's limit counts), or torch's name of an accelerator, such as
        ``"cuda"``, ``"cuda:1"``, ``"mps"`` or ``"xpu"`` (imports torch).

    Returns
    -------
    int or None
        Bytes; None where the device cannot tell or is not there.
    """
    if device == "cpu":
        return _main_memory()
    kind = device.split(":")[0]
    query = {"cuda": _cuda, "mps": _mps, "xpu": _xpu}.get(kind)
    return query(device) if query else None


def _main_memory() -> int:
    import psutil

    available = int(psutil.virtual_memory().available)
    left = memory_left_bytes(_groups())
    return available if left is None else min(available, left)


@lru_cache(maxsize=1)
def _groups() -> tuple[Path, ...]:
    return group_directories()


def _cuda(device: str) -> int | None:
    import torch

    return int(torch.cuda.mem_get_info(device)[0]) if _is_there(device, torch.cuda.device_count()) else None


def _xpu(device: str) -> int | None:
    import torch

    return int(torch.xpu.mem_get_info(device)[0]) if _is_there(device, torch.xpu.device_count()) else None


def _mps(device: str) -> int | None:
    """Metal's advice of how much to use, less what is taken; the memory is the machine's own."""
    import torch

    if not torch.backends.mps.is_available():
        return None
    left = int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    return max(0, min(left, _main_memory()))


def _is_there(device: str, count: int) -> bool:
    index = device.partition(":")[2] or "0"
    return index.isdecimal() and int(index) < count
