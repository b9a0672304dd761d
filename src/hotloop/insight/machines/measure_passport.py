"""Measure a passport: constants by themselves first, then a few whole networks to see how forecasts come out."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hotloop import __version__
from hotloop.hardware import Machine, describe
from hotloop.insight.forecasting.forecast import eager_us, host_us, operations_us
from hotloop.insight.forecasting.work import Work
from hotloop.insight.machines.measure_torch_costs import (
    costs_without_spread,
    eager_session,
    eager_step_us,
    measure_host_costs,
    measure_tables,
    spread_of,
)
from hotloop.insight.machines.non_negative_fit import non_negative_fit
from hotloop.insight.machines.passport import NativeCosts, Passport, Spread, TorchCosts
from hotloop.insight.machines.torch_operations import Grid
from hotloop.program.network import Network
from hotloop.sentence import Sentence, counted

__all__ = ["Effort", "facts", "facts_here", "is_busy", "measure_device", "measure_passport", "today", "versions"]

# Beyond this much of other work, in threads for each of the machine's, a passport says so.
_BUSY = 0.5
_TIMES = 9
_LEAST_S = 5e-3
_IMPLAUSIBLE = 4.0
# By which operations take longer within a step than alone; where it came out more, something else kept them waiting.
_MOST_LONGER = 2.0


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


_GRID = Grid()
_COARSE_GRID = Grid(
    rows=(64, 1024), widths=(16, 256), elements=(1 << 14, 1 << 20), outputs=(2, 32), activations=("relu", "tanh")
)


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Parameters
    ----------
    grid, grid_of_all_threads : Grid
    rounds : int
        Of the tables, of which the least times count.
    examples : tuple of Example
    peaks : mapping of int
        Sizes at which a GPU's peaks are measured: ``n`` and ``copy_bytes``.
    """

    grid: Grid = _GRID
    grid_of_all_threads: Grid = _COARSE_GRID
    rounds: int = 2
    examples: tuple[Example, ...] = EXAMPLES
    peaks: Mapping[str, int] = field(default_factory=dict)


GPU_EFFORT = Effort(
    grid=Grid(
        rows=(16, 256, 4096, 65536),
        widths=(4, 64, 512, 4096),
        elements=(1 << 12, 1 << 18, 1 << 24),
        most_products=1e11,
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
    machine = _described()
    if device == "cpu":
        passport = _measure_cpu(machine, effort or Effort())
    else:
        passport = _measure_as_gpu(machine, device, effort or GPU_EFFORT)
    return replace(passport, took_s=round(time.perf_counter() - started_s, 1))


def measure_device(device: str = "cpu", effort: Effort | None = None) -> Passport:
    """Measure a device the way a GPU is measured: as something that is told what to do.

    Of a CPU that leaves out the compiled engine and several threads, and adds what launches and copies would take;
    it is there to try the measuring of GPUs without one. See :func:`measure_passport` for the rest.
    """
    if device == "cpu" and effort is None:
        return measure_passport("cpu")
    started_s = time.perf_counter()
    passport = _measure_as_gpu(_described(), device, effort or GPU_EFFORT)
    return replace(passport, took_s=round(time.perf_counter() - started_s, 1))


def _measure_as_gpu(machine: Machine | None, device: str, effort: Effort) -> Passport:
    import torch

    from hotloop.errors import DeviceError
    from hotloop.insight.machines.measure_accelerator import measure_accelerator_costs

    is_cpu = device == "cpu"
    if not is_cpu and not torch.cuda.is_available():
        raise DeviceError("there is no GPU of NVIDIA's here", why=f"torch {torch.__version__} sees none")
    threads = 1 if is_cpu else None
    host = measure_host_costs(device, threads)
    costs = costs_without_spread(threads, host, measure_tables(device, threads, effort.grid, effort.rounds))
    return Passport(
        name=_cpu_name(machine) if is_cpu else torch.cuda.get_device_name(),
        device=device,
        machine=facts(machine),
        versions=versions(),
        measured_on=today(),
        took_s=0.0,
        torch=(compared_with(device, costs, effort.examples),),
        accelerator=measure_accelerator_costs(device, **effort.peaks),
        notes=_notes(),
    )


def _cpu_name(machine: Machine | None) -> str:
    return (machine and machine.cpu.name) or platform.processor() or "unknown processor"


def today(days_ago: int = 0) -> str:
    """Return the day in Greenwich, as 2026-01-31."""
    return (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days_ago)).date().isoformat()


def _described() -> Machine | None:
    """Return what machine this is, or None where the packages that tell are not installed."""
    try:
        return describe()
    except ImportError:
        return None


def _measure_cpu(machine: Machine | None, effort: Effort) -> Passport:
    n_threads = max((machine and machine.cpu.usable_threads) or os.cpu_count() or 1, 1)
    host = measure_host_costs("cpu", 1)
    one = costs_without_spread(1, host, measure_tables("cpu", 1, effort.grid, effort.rounds))
    costs = [compared_with("cpu", one, effort.examples)]
    all_threads, notes = _all_threads(host, n_threads, effort)
    costs += all_threads
    return Passport(
        name=_cpu_name(machine),
        device="cpu",
        machine=facts(machine),
        versions=versions(),
        measured_on=today(),
        took_s=0.0,
        torch=tuple(costs),
        native=_native(None if machine is None else machine.cpu.l2_bytes),
        notes=(*_notes(), *notes),
    )


def _all_threads(
    host: dict[str, float], n_threads: int, effort: Effort
) -> tuple[tuple[TorchCosts, ...], tuple[str, ...]]:
    """Return the costs with all threads, if there are several and what was measured can be used; and else why not."""
    # Threads wait for each other at each operation: beside other work that is all that would be measured.
    if n_threads == 1 or is_busy():
        return (), ()
    tables = measure_tables("cpu", n_threads, effort.grid_of_all_threads, rounds=1)
    costs = costs_without_spread(n_threads, host, tables)
    compared = compared_with("cpu", costs, effort.examples)
    if is_plausible(compared.spread):
        return (compared,), ()
    return (), (f"other work kept {n_threads} threads waiting for each other while they were measured",)


def is_plausible(spread: Spread) -> bool:
    """Whether whole networks came out as their parts say; if not, something else ran during one or the other."""
    return spread.low > 1 / _IMPLAUSIBLE and spread.high < _IMPLAUSIBLE


def compared_with(device: str, costs: TorchCosts, examples: Sequence[Example]) -> TorchCosts:
    """Return the costs with the spread of whole networks around what they forecast.

    On a CPU, operations take longer within a step than by themselves, where all they need stays in the caches: how much
    longer the same networks tell.
    """
    is_cpu = device == "cpu"
    steps = [(example.work, _step_us(example, device, costs.threads)) for example in examples]
    if is_cpu:
        parts = np.array([[host_us(work, costs), operations_us(work, costs)] for work, _ in steps])
        host, operations = non_negative_fit(parts, np.array([us for _, us in steps]))
        if host <= operations <= _MOST_LONGER * host:
            costs = replace(
                costs, tables={name: table.times(operations / host) for name, table in costs.tables.items()}
            )
    return replace(costs, spread=spread_of([us / eager_us(work, costs, overlaps=not is_cpu) for work, us in steps]))


def _step_us(example: Example, device: str, threads: int | None) -> float:
    n_batches = 8 if example.gathers else 1
    session = eager_session(example.work, example.network, device, threads, n_batches=n_batches)
    once = eager_step_us(session, threads, _LEAST_S)
    return statistics.median(once() for _ in range(_TIMES))


def _native(l2_bytes: int | None) -> NativeCosts | None:
    """Return the costs of the native engine; None where it cannot compile."""
    from hotloop.errors import UnsupportedError

    try:
        from hotloop.insight.machines.measure_native_costs import measure_native_costs

        return measure_native_costs(l2_bytes)
    except (UnsupportedError, ImportError):
        return None


def facts(machine: Machine | None) -> dict[str, str]:
    """Return what a passport says of a machine; None is one that only Python describes."""
    known: dict[str, object] = {"system": platform.system(), "architecture": platform.machine()}
    if machine is not None:
        cpu = machine.cpu
        known |= {
            "cpu": cpu.name,
            "microarchitecture": cpu.microarchitecture,
            "threads": cpu.usable_threads,
            "vectors": cpu.simd,
            "l2_bytes": cpu.l2_bytes,
            "l3_bytes": cpu.l3_bytes,
            "virtual": machine.virtual,
            "gpu": ", ".join(str(gpu.name) for gpu in machine.gpus) or None,
        }
    return {name: str(value) for name, value in known.items() if value is not None}


@functools.cache
def _facts_here() -> tuple[tuple[str, str], ...]:
    return tuple(facts(_described()).items())


def facts_here() -> dict[str, str]:
    """Return what a passport says of this machine."""
    return dict(_facts_here())


def versions() -> dict[str, str]:
    """Return the versions that figures depend on; a package that is not there is left out."""
    found = {"python": platform.python_version(), "hotloop": __version__}
    for name in ("torch", "numpy", "llvmlite"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _notes() -> tuple[str, ...]:
    """Say what else went on while measuring, as far as the system tells."""
    load, n_threads = _load(), os.cpu_count() or 1
    if is_busy():
        busy = Sentence(
            "the machine was busy with other work then (load {load:.1f} on {threads}), so that only one thread was "
            "measured",
            load=load,
            threads=counted("{n} thread", "{n} threads", n_threads),
        )
        return (busy,)
    return ()


def is_busy() -> bool:
    """Whether other work keeps this machine's processors from measuring well; this process is one thread of load."""
    return (_load() - 1.0) / (os.cpu_count() or 1) > _BUSY


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
