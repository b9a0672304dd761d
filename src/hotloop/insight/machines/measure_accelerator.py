"""What a GPU takes besides its arithmetic: launches, read-backs, copies, and its peaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hotloop.insight.machines.passport import AcceleratorCosts
from hotloop.insight.machines.stopwatch import CudaStopwatch, Stopwatch

__all__ = ["measure_accelerator_costs"]

_OPERATIONS = 200
_GRAPH_KERNELS = 200


def measure_accelerator_costs(device: str, *, n: int = 4096, copy_bytes: int = 64 << 20) -> AcceleratorCosts:
    """Measure a device by torch's name for it.

    Parameters
    ----------
    device : str
        "cuda". With "cpu" all of it runs too, and says what the same calls take without a device.
    n : int
        Width of the square matrices whose product is the peak.
    copy_bytes : int
        Of large copies.
    """
    import torch

    is_cpu = device == "cpu"
    host = Stopwatch(time.perf_counter, repeats=7, most_s=1.0)
    own = host if is_cpu else CudaStopwatch(torch)
    wait: Callable[[], object] = (lambda: None) if is_cpu else torch.cuda.synchronize
    small, result = torch.ones(4, device=device), torch.ones(4, device=device)
    number, cell = torch.ones(()), torch.ones((), device=device)
    there, large = torch.ones(copy_bytes // 4), torch.ones(copy_bytes // 4, device=device)
    twin, a, product = torch.empty_like(large), torch.ones(n, n, device=device), torch.empty(n, n, device=device)

    def issue() -> None:
        for _ in range(_OPERATIONS):
            torch.add(small, small, out=result)

    def waiting(work: Callable[[], object]) -> Callable[[], object]:
        return lambda: (work(), wait())

    graph_kernel_us, graph_launch_us = (None, None) if is_cpu else _graph_us(torch, small, result, host)
    return AcceleratorCosts(
        issue_us=host.us(waiting(issue)) / _OPERATIONS,
        kernel_us=own.us(lambda: torch.add(small, small, out=result)),
        graph_kernel_us=graph_kernel_us,
        graph_launch_us=graph_launch_us,
        read_back_us=host.us(cell.item),
        copy_us=host.us(waiting(lambda: cell.copy_(number))),
        copy_gb_per_s=copy_bytes / host.us(waiting(lambda: large.copy_(there))) / 1e3,
        memory_gb_per_s=2 * copy_bytes / own.us(lambda: twin.copy_(large)) / 1e3,
        gflop_per_s=2 * n**3 / own.us(lambda: torch.matmul(a, a, out=product)) / 1e3,
    )


def _graph_us(torch: Any, small: Any, result: Any, host: Stopwatch) -> tuple[float | None, float | None]:
    """Return the microseconds of a kernel within a CUDA graph, and of launching a graph of one and waiting."""

    def graph_of(n_kernels: int) -> Callable[[], object]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(n_kernels):
                torch.add(small, small, out=result)
        return lambda: (graph.replay(), torch.cuda.synchronize())

    try:
        single_us, many_us = host.us(graph_of(1)), host.us(graph_of(1 + _GRAPH_KERNELS))
    except RuntimeError:  # a driver or torch without graphs
        return None, None
    return max(many_us - single_us, 0.0) / _GRAPH_KERNELS, single_us
