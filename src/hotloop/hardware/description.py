"""What a machine is, as plain data: the answer of ``hotloop devices``.

``None`` always means unknown: it could not be read, or what was read contradicts itself. Nothing is guessed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Cpu", "Gpu", "Machine", "Measured", "Memory"]


@dataclass(frozen=True)
class Measured:
    """What was measured, and on what.

    Parameters
    ----------
    on : str
        The part that worked, for example ``"1 core"``.
    gflop_per_s : float, optional
        Peak float32 arithmetic in 10^9 operations per second; a fused multiply-add counts as two.
    bandwidth_gb_per_s : float, optional
        Memory traffic of a large copy in 10^9 bytes per second, bytes read plus bytes written.
    eager_op_us : float, optional
        Median duration of one eager torch addition of two tiny tensors.
    note : str, optional
        A condition the figures depend on.
    """

    on: str
    gflop_per_s: float | None = None
    bandwidth_gb_per_s: float | None = None
    eager_op_us: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Cpu:
    """A processor.

    Parameters
    ----------
    name : str, optional
        As the processor names itself.
    vendor, microarchitecture, generation : str, optional
        For example ``"Intel"``, ``"Alder Lake"``, ``"12th generation Core"``.
    year : int, optional
        When the microarchitecture was launched (announced, for cores that Arm licenses).
    llvm_name : str, optional
        LLVM's name for the host, the compiler's view of it.
    physical_cores, performance_cores, efficiency_cores, threads : int, optional
        Cores and hardware threads of the machine; the two kinds of core where it has two.
    usable_threads : int, optional
        Threads this process may run on at once: its affinity, and whole CPUs of the cgroup's quota.
    quota_cpus : float, optional
        The cgroup's limit in CPUs, where there is one.
    simd, simd_bits : str, int, optional
        The widest vector instruction set and its width.
    matrix_unit : str, optional
        An instruction set for whole matrix tiles, where the processor has one.
    l1d_bytes, l2_bytes, l3_bytes : int, optional
        Size of one data cache of each level, as the first core sees it.
    l3_caches : int, optional
        How many level-3 caches there are.
    notes : tuple of str
        What limits the statements above.
    measured : tuple of Measured
        Empty until `hotloop.hardware.measure`.
    """

    name: str | None
    vendor: str | None
    microarchitecture: str | None
    generation: str | None
    year: int | None
    llvm_name: str | None
    physical_cores: int | None
    performance_cores: int | None
    efficiency_cores: int | None
    threads: int | None
    usable_threads: int | None
    quota_cpus: float | None
    simd: str | None
    simd_bits: int | None
    matrix_unit: str | None
    l1d_bytes: int | None
    l2_bytes: int | None
    l3_bytes: int | None
    l3_caches: int | None
    notes: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()

    @property
    def float32_per_instruction(self) -> int | None:
        """How many float32 numbers one vector instruction works on."""
        return self.simd_bits // 32 if self.simd_bits else None


@dataclass(frozen=True)
class Memory:
    """Main memory in bytes; ``limit_bytes`` is the cgroup's bound, and ``available_bytes`` respects it."""

    total_bytes: int | None
    available_bytes: int | None
    limit_bytes: int | None = None


@dataclass(frozen=True)
class Gpu:
    """A graphics processor or another accelerator.

    Parameters
    ----------
    index : int
        The number NVML or torch knows it by.
    kind : str
        ``"cuda"``, ``"rocm"``, ``"mps"`` or ``"xpu"``.
    name, vendor : str, optional
        As its driver names it.
    market : str, optional
        ``"desktop"``, ``"laptop"``, ``"workstation"``, ``"laptop workstation"`` or ``"data centre"``.
    tier : str, optional
        ``"entry"``, ``"mid-range"``, ``"high-end"`` or ``"flagship"``, within its own generation and market.
    architecture, compute_capability, year : str, str, int, optional
        For example ``"Hopper"``, ``"9.0"``, 2022.
    multiprocessors : int, optional
        Streaming multiprocessors.
    total_bytes, free_bytes : int, optional
        Its own memory.
    driver_version, cuda_version : str, optional
        The driver, and the newest CUDA it supports.
    """

    index: int
    kind: str
    name: str | None
    vendor: str | None
    market: str | None = None
    tier: str | None = None
    architecture: str | None = None
    compute_capability: str | None = None
    year: int | None = None
    multiprocessors: int | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    driver_version: str | None = None
    cuda_version: str | None = None
    notes: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()


@dataclass(frozen=True)
class Machine:
    """One machine.

    ``virtual`` is None where it cannot be known; ``gpu_status`` says in one sentence what was looked for
    and not found, or None where every search found something.
    """

    operating_system: str
    virtual: bool | None
    hypervisor: str | None
    cpu: Cpu
    memory: Memory
    gpus: tuple[Gpu, ...] = ()
    gpu_status: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the machine as JSON objects, arrays, strings, numbers and nulls; units are in the names."""
        plain = asdict(self)
        plain["cpu"]["float32_per_instruction"] = self.cpu.float32_per_instruction
        return {key: _with_lists(value) for key, value in plain.items()}


def _with_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_lists(item) for key, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, tuple) else value
