"""A machine's passport: what the cost model must know of it, measured, as plain data in a sealed JSON file.

::

    Passport
      name, device         "AMD EPYC", "cpu"; "NVIDIA H200", "cuda"
      machine, versions    what was measured, with which torch, hotloop, NumPy and llvmlite
      torch                for each number of threads: what torch takes to issue operations, and to do them, by size
      native               the compiled step: what its vector operations take, and what compiling takes
      accelerator          launches, read-backs and copies of a GPU

Reading checks every field; nothing in a file is ever executed. Neither torch nor llvmlite is needed to read one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from hotloop.insight.interval import Interval
from hotloop.insight.machines.size_table import SizeTable

__all__ = [
    "HOST_COSTS",
    "TABLES",
    "VECTOR_COSTS",
    "AcceleratorCosts",
    "NativeCosts",
    "Passport",
    "Spread",
    "TorchCosts",
    "load_passport",
    "save_passport",
]

HOST_COSTS = (
    "step",
    "linear",
    "activation",
    "cross entropy",
    "binary cross entropy",
    "adam",
    "adam tensor",
    "gather",
    "order of a row",
)
"""What issuing operations takes, in microseconds, whatever their size."""

TABLES: Mapping[str, int] = {
    "first linear": 3,
    "linear": 3,
    **{f"activation {name}": 1 for name in ("relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid")},
    "activation softplus": 1,
    **{f"loss {name}": 2 for name in ("ce", "mse", "bce")},
    **{f"optimizer {name}": 1 for name in ("sgd", "adam")},
    "gather": 2,
}
"""Tables of what operations take beyond being issued, and how many sizes each goes by.

Being issued is one cost for all activations: what one takes more than the quickest is in its table.
"""

VECTOR_COSTS = (
    "step",
    "product",
    "gradient",
    "streamed",
    "arithmetic",
    "special",
    "division",
    "gathered",
    "ordered",
)
"""What a compiled step is made of; see ``native_counts.py``."""


@dataclass(frozen=True)
class Spread:
    """How measured times lay around forecasts of calibration networks, as factors; four of five lie within.

    Parameters
    ----------
    low, middle, high : float
        Measured / forecast.
    networks : int
        How many were measured.
    """

    low: float
    middle: float
    high: float
    networks: int

    def around(self, us: float) -> Interval:
        """Return the forecast with its bounds."""
        return Interval(self.low * us, self.middle * us, self.high * us)


@dataclass(frozen=True)
class TorchCosts:
    """What torch takes on one device with one number of threads.

    Parameters
    ----------
    threads : int or None
        CPU threads; None on a GPU.
    host_us : mapping of float
        By :data:`HOST_COSTS`.
    tables : mapping of SizeTable
        By :data:`TABLES`: forward and backward together, in microseconds beyond issuing.
    spread : Spread
    """

    threads: int | None
    host_us: Mapping[str, float]
    tables: Mapping[str, SizeTable]
    spread: Spread


@dataclass(frozen=True)
class NativeCosts:
    """What compiled steps take.

    Parameters
    ----------
    lanes : int
        float32 numbers of a vector.
    cache_bytes : int
        Weights beyond this size are read anew for each block of rows.
    ns : mapping of float
        By :data:`VECTOR_COSTS`: nanoseconds each.
    compile_us_per_instruction : float
        What compiling takes for each instruction that ``compiler/code_size.py`` estimates.
    spread : Spread
    """

    lanes: int
    cache_bytes: int
    ns: Mapping[str, float]
    compile_us_per_instruction: float
    spread: Spread


@dataclass(frozen=True)
class AcceleratorCosts:
    """What a GPU takes besides its arithmetic.

    Parameters
    ----------
    issue_us : float
        Host time of one small operation, without autograd.
    kernel_us : float
        The least time of a kernel on the device.
    graph_kernel_us : float or None
        The least time of a kernel within a CUDA graph; None where graphs cannot be captured.
    graph_launch_us : float or None
        Launching a graph of one kernel and waiting for it.
    read_back_us : float
        One ``.item()`` on a finished number.
    copy_us : float
        Copying one number from the host's memory.
    copy_gb_per_s, memory_gb_per_s : float
        Large copies from the host, and within the device's memory (read plus written).
    gflop_per_s : float
        The largest matrix product measured, float32 without TF32.
    """

    issue_us: float
    kernel_us: float
    graph_kernel_us: float | None
    graph_launch_us: float | None
    read_back_us: float
    copy_us: float
    copy_gb_per_s: float
    memory_gb_per_s: float
    gflop_per_s: float


@dataclass(frozen=True)
class Passport:
    """One device of one machine, measured.

    Parameters
    ----------
    name : str
        Of processor or GPU, as people know it.
    device : str
        "cpu" or "cuda".
    machine : mapping of str
        What is known of the machine: CPU, cores, GPU, system.
    versions : mapping of str
        Of the packages that the figures depend on.
    measured_on : str
        The day, as 2026-01-31.
    took_s : float
        How long measuring took.
    notes : tuple of str
        Conditions that the figures depend on, such as a machine that others use too.
    torch : tuple of TorchCosts
        By ascending number of threads.
    native : NativeCosts or None
        None on a GPU, and where nothing can be compiled.
    accelerator : AcceleratorCosts or None
        None on a CPU.
    """

    name: str
    device: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    measured_on: str
    took_s: float
    torch: tuple[TorchCosts, ...]
    native: NativeCosts | None = None
    accelerator: AcceleratorCosts | None = None
    notes: tuple[str, ...] = field(default=())


def save_passport(passport: Passport, path: str | os.PathLike[str]) -> None:
    """Write a passport; the file is whole or not there.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    from hotloop.files import seal, write_atomically
    from hotloop.insight.machines.passport_document import to_document

    write_atomically(path, seal(to_document(passport)))


def load_passport(path: str | os.PathLike[str]) -> Passport:
    """Read a passport.

    Raises
    ------
    SavedRunError
        If there is no such file, or it is not what :func:`save_passport` writes.
    """
    from hotloop.insight.machines.passport_document import read_passport

    return read_passport(path)
