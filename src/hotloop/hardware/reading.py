"""What was read of a machine, before any conclusion: the input of the ``identify_*`` files.

A reading can be written down as JSON, so that any machine can be replayed on any other.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CpuReading", "GpuReading", "MachineReading"]


@dataclass(frozen=True)
class CpuReading:
    """What the processor and the operating system say of the CPU; None where they do not say.

    Parameters
    ----------
    architecture : str
        ``platform.machine()``, lower case: ``"x86_64"``, ``"amd64"``, ``"arm64"``, ``"aarch64"``, ...
    vendor_id : str, optional
        CPUID's vendor (``"GenuineIntel"``), or Arm's implementer in hexadecimal (``"0x41"``).
    family, model, stepping : int, optional
        CPUID's display family and model (x86 only).
    brand : str, optional
        The processor's own name for itself.
    llvm_name : str, optional
        LLVM's name of the host CPU.
    features : frozenset of str
        The instruction sets that are there, in LLVM's names.
    sve_bytes : int, optional
        Width of an Arm SVE vector.
    affinity_threads : int, optional
        Threads the scheduler lets this process run on.
    quota_cpus : float, optional
        The cgroup's limit.
    """

    architecture: str
    vendor_id: str | None = None
    family: int | None = None
    model: int | None = None
    stepping: int | None = None
    brand: str | None = None
    llvm_name: str | None = None
    features: frozenset[str] = frozenset()
    sve_bytes: int | None = None
    physical_cores: int | None = None
    performance_cores: int | None = None
    efficiency_cores: int | None = None
    threads: int | None = None
    affinity_threads: int | None = None
    quota_cpus: float | None = None
    l1d_bytes: int | None = None
    l2_bytes: int | None = None
    l3_bytes: int | None = None
    l3_caches: int | None = None


@dataclass(frozen=True)
class GpuReading:
    """What NVML or torch says of one GPU; None where it does not say.

    ``cuda_cores`` counts scalar cores, not multiprocessors; ``mig`` says whether the GPU is split up.
    """

    index: int
    kind: str
    name: str | None
    compute_capability: tuple[int, int] | None = None
    total_bytes: int | None = None
    free_bytes: int | None = None
    cuda_cores: int | None = None
    multiprocessors: int | None = None
    mig: bool | None = None
    driver_version: str | None = None
    cuda_version: str | None = None


@dataclass(frozen=True)
class MachineReading:
    """What was read of the whole machine.

    Parameters
    ----------
    operating_system : str
        For example ``"Linux 6.8.0"``.
    hypervisor_bit : bool, optional
        CPUID's "a hypervisor is present", or macOS's ``kern.hv_vmm_present``.
    hypervisor_ids : tuple of str
        The signatures that hypervisors left in CPUID, in the order of their leaves.
    root_partition : bool
        Hyper-V says that this is its host, not a guest (so it is on ordinary Windows 11).
    board_vendor, board_product : str, optional
        DMI's vendor and product, which clouds fill with their own names.
    memory_available_bytes : int, optional
        Already bounded by what the cgroup has left.
    gpu_error : str, optional
        Why no GPU could be read, where that is not simply that there is none.
    """

    operating_system: str
    cpu: CpuReading
    hypervisor_bit: bool | None = None
    hypervisor_ids: tuple[str, ...] = ()
    root_partition: bool = False
    board_vendor: str | None = None
    board_product: str | None = None
    memory_total_bytes: int | None = None
    memory_available_bytes: int | None = None
    memory_limit_bytes: int | None = None
    gpus: tuple[GpuReading, ...] = ()
    gpu_error: str | None = None
