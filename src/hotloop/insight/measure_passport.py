"""Measure a passport: constants by themselves first, then a few whole networks to see how forecasts come out."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hotloop.hardware import Machine, describe
from hotloop.insight.forecast import eager_us
from hotloop.insight.measure_torch_costs import (
    costs_without_spread,
    eager_session,
    eager_step_us,
    measure_host_costs,
    measure_tables,
    spread_of,
)
from hotloop.insight.passport import NativeCosts, Passport, TorchCosts
from hotloop.insight.torch_operations import Grid
from hotloop.insight.work import Work
from hotloop.program.network import Network

__all__ = ["Effort", "measure_passport", "versions"]

# Beyond this much of other work, in threads for each of the machine's, a passport says so.
_BUSY = 0.5
_TIMES = 9


@dataclass(frozen=True)
class Example:
    """A whole network that forecasts are compared with."""

    widths: tuple[int, ...]
    activation: str
    loss: str
    optimizer: str
    rows: int
    gathers: bool = False

    @property
    def network(self) -> Network:
        """The layers."""
        return Network.mlp(self.widths[0], self.widths[1:-1], self.widths[-1], self.activation)

    @property
    def work(self) -> Work:
        """A step."""
        return Work.of_network(self.network, self.loss, self.optimizer, self.rows, gathers=self.gathers)


EXAMPLES = (
    Example((4, 10, 3), "relu", "ce", "sgd", 120),
    Example((10, 96, 1), "tanh", "mse", "adam", 700),
    Example((30, 48, 24, 5), "relu", "ce", "adam", 64, gathers=True),
    Example((16, 160, 80, 1), "gelu", "bce", "sgd", 256, gathers=True),
    Example((64, 32, 128, 16, 10), "tanh", "ce", "adam", 1500),
)
GPU_EXAMPLES = (*EXAMPLES, Example((256, 2048, 2048, 10), "relu", "ce", "adam", 8192))


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Parameters
    ----------
    grid, grid_of_all_threads : Grid
    rounds : int
        Of the tables, of which the least times count.
    examples : tuple of Example
    """

    grid: Grid = Grid()
    grid_of_all_threads: Grid = Grid(
        rows=(64, 1024), widths=(16, 256), elements=(1 << 14, 1 << 20), outputs=(2, 32), activations=("relu", "tanh")
    )
    rounds: int = 2
    examples: tuple[Example, ...] = EXAMPLES


GPU_EFFORT = Effort(
    grid=Grid(
        rows=(16, 256, 4096, 65536),
        widths=(4, 64, 512, 4096),
        elements=(1 << 12, 1 << 18, 1 << 24),
        most_products=2e11,
    ),
    examples=GPU_EXAMPLES,
)


def measure_passport(device: str = "cpu", effort: Effort | None = None) -> Passport:
    """Measure a device of this machine.

    Parameters
    ----------
    device : str
        "cpu", or "cuda" for the first GPU of NVIDIA's.
    effort : Effort, optional
        By default what takes about ten seconds on a CPU.

    Raises
    ------
    DeviceError
        If torch sees no such device.
    """
    started_s = time.perf_counter()
    machine = describe()
    if device == "cpu":
        passport = _measure_cpu(machine, effort or Effort())
    else:
        from hotloop.insight.measure_accelerator import measure_cuda

        passport = measure_cuda(machine, effort or GPU_EFFORT)
    return replace(passport, took_s=round(time.perf_counter() - started_s, 1))


def _measure_cpu(machine: Machine, effort: Effort) -> Passport:
    import torch

    n_threads = max(machine.cpu.usable_threads or 1, 1)
    host = measure_host_costs("cpu", 1)
    costs = [costs_without_spread(1, host, measure_tables("cpu", 1, effort.grid, effort.rounds))]
    if n_threads > 1:
        tables = measure_tables("cpu", n_threads, effort.grid_of_all_threads, rounds=1)
        costs.append(costs_without_spread(n_threads, host, tables))
    compared = [compared_with("cpu", each, effort.examples if each.threads == 1 else effort.examples[1:2]) for each in costs]
    return Passport(
        name=machine.cpu.name or "unknown processor",
        device="cpu",
        machine=facts(machine),
        versions=versions(),
        measured_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        took_s=0.0,
        torch=tuple(compared),
        native=_native(machine),
        notes=_notes(torch, n_threads),
    )


def compared_with(device: str, costs: TorchCosts, examples: Sequence[Example]) -> TorchCosts:
    """Return the costs with the spread of whole networks around what they forecast."""
    ratios = []
    for example in examples:
        session = eager_session(example.work, example.network, device, costs.threads, n_batches=8 if example.gathers else 1)
        once = eager_step_us(session, costs.threads)
        measured_us = statistics.median(once() for _ in range(_TIMES))
        ratios.append(measured_us / eager_us(example.work, costs, overlaps=device != "cpu"))
    return replace(costs, spread=spread_of(ratios))


def _native(machine: Machine) -> NativeCosts | None:
    """Return the costs of the native engine; None where it cannot compile."""
    from hotloop.errors import UnsupportedError

    try:
        from hotloop.insight.measure_native_costs import measure_native_costs

        return measure_native_costs(machine.cpu.l2_bytes)
    except (UnsupportedError, ImportError):
        return None


def facts(machine: Machine) -> dict[str, str]:
    """Return what a passport says of a machine."""
    cpu = machine.cpu
    known = {
        "cpu": cpu.name,
        "microarchitecture": cpu.microarchitecture,
        "threads": cpu.usable_threads,
        "vectors": cpu.simd,
        "l2_bytes": cpu.l2_bytes,
        "l3_bytes": cpu.l3_bytes,
        "virtual": machine.virtual,
        "system": platform.system(),
        "gpu": ", ".join(str(gpu.name) for gpu in machine.gpus) or None,
    }
    return {name: str(value) for name, value in known.items() if value is not None}


def versions() -> dict[str, str]:
    """Return the versions that figures depend on; a package that is not there is left out."""
    found = {"python": platform.python_version()}
    for name in ("hotloop", "torch", "numpy", "llvmlite"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _notes(torch: Any, n_threads: int) -> tuple[str, ...]:
    """Say what else went on while measuring, as far as the system tells."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    # This process itself keeps one thread busy.
    if (load - 1.0) / n_threads > _BUSY:
        return (f"the machine was busy with other work: load {load:.1f} on {n_threads} threads",)
    return ()
