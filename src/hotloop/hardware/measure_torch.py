"""Measure what torch makes of a device: one tiny operation, a matrix product, a copy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from hotloop.hardware.description import Measured
from hotloop.sentence import Sentence

__all__ = ["eager_op_us", "measure_accelerator"]

_REPEATS = 5
_OPS_PER_BATCH = 200
_BATCHES = 50


def eager_op_us(device: str = "cpu") -> float:
    """Return the median cost in microseconds of adding two tensors of four numbers, operation by operation.

    On an accelerator the operations queue up and the wait for the last is part of the figure.
    """
    import torch

    x = torch.ones(4, device=device)

    def batch() -> None:
        for _ in range(_OPS_PER_BATCH):
            torch.add(x, x)

    batch()
    durations_s = [_duration_s(batch, device) for _ in range(_BATCHES)]
    return statistics.median(durations_s) / _OPS_PER_BATCH * 1e6


def measure_accelerator(device: str, n: int = 4096, copy_bytes: int = 256 << 20) -> Measured:
    """Measure one accelerator by torch's name for it.

    Parameters
    ----------
    device : str
        For example ``"cuda:0"``.
    n : int
        The matrix product is n x n x n in float32, without TF32: 2 n^3 operations.
    copy_bytes : int
        Size of the copied tensor.
    """
    import torch

    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        return Measured(
            on=device,
            gflop_per_s=_matmul_gflop_per_s(torch, device, n),
            bandwidth_gb_per_s=_copy_gb_per_s(torch, device, copy_bytes),
            eager_op_us=eager_op_us(device),
            note=Sentence("float32 product of {n} x {n} matrices, without TF32", n=n),
        )
    except RuntimeError as error:  # out of memory, or a driver that does not fit
        return Measured(on=device, note=Sentence("not measured: {reason}", reason=str(error).splitlines()[0]))
    finally:
        torch.set_float32_matmul_precision(precision)


def _matmul_gflop_per_s(torch: Any, device: str, n: int) -> float:
    a, b = torch.rand(n, n, device=device), torch.rand(n, n, device=device)
    product = torch.empty(n, n, device=device)
    return 2 * n**3 / _best_s(lambda: torch.matmul(a, b, out=product), device) / 1e9


def _copy_gb_per_s(torch: Any, device: str, size_bytes: int) -> float:
    source = torch.ones(size_bytes // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * size_bytes / _best_s(lambda: target.copy_(source), device) / 1e9


def _best_s(work: Callable[[], object], device: str) -> float:
    work()
    return min(_duration_s(work, device) for _ in range(_REPEATS))


def _duration_s(work: Callable[[], object], device: str) -> float:
    """Time the work until the device has finished it."""
    _wait(device)
    start_s = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start_s


def _wait(device: str) -> None:
    import torch

    if device != "cpu":
        torch.accelerator.synchronize(device)
