"""Add measured figures to a machine's description."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hotloop.hardware.description import Gpu, Machine
from hotloop.sentence import Sentence

__all__ = ["measure"]


def measure(machine: Machine) -> Machine:
    """Return the machine with what was measured on its CPU and on each accelerator torch can use.

    Also looks for the accelerators that only torch can find. Takes a few seconds, imports torch, and uses up
    to 1 GiB of main memory and 0.7 GiB of each accelerator's.
    """
    from hotloop.hardware.measure_cpu import measure_cpu

    # The loops first: importing torch starts threads and fills memory.
    loops = measure_cpu(machine.cpu, machine.memory.available_bytes)

    import torch

    from hotloop.hardware.measure_torch import eager_op_us

    measured = (replace(loops[0], eager_op_us=eager_op_us()), *loops[1:])
    gpus, status = _measure_gpus(torch, machine)
    return replace(machine, cpu=replace(machine.cpu, measured=measured), gpus=gpus, gpu_status=status)


def _measure_gpus(torch: Any, machine: Machine) -> tuple[tuple[Gpu, ...], str | None]:
    from hotloop.hardware.identify_gpu import identify_gpu
    from hotloop.hardware.measure_torch import measure_accelerator
    from hotloop.hardware.read_torch import read_torch

    gpus = list(machine.gpus)
    for device, reading in read_torch(torch, machine.cpu.name):
        figures = measure_accelerator(device)
        place = _same_gpu(gpus, reading.kind, reading.name)
        if place is None:
            gpus.append(replace(identify_gpu(reading), measured=(figures,)))
        else:
            gpus[place] = replace(gpus[place], measured=(figures,))
    return tuple(_explain(torch, gpu) for gpu in gpus), _status(machine, gpus)


def _same_gpu(gpus: list[Gpu], kind: str, name: str | None) -> int | None:
    """Find the GPU by name: NVML and CUDA may number the same GPUs differently."""
    unmeasured = (k for k, gpu in enumerate(gpus) if not gpu.measured and (gpu.kind, gpu.name) == (kind, name))
    return next(unmeasured, None)


def _explain(torch: Any, gpu: Gpu) -> Gpu:
    """Say why a GPU that NVML found was not measured."""
    if gpu.measured:
        return gpu
    why = Sentence("not measured: the torch installed here does not see this GPU")
    if torch.version.cuda is None:
        why = Sentence("not measured: the torch installed here is built without CUDA")
    return replace(gpu, notes=(*gpu.notes, why))


def _status(machine: Machine, gpus: list[Gpu]) -> str | None:
    driver_trouble = machine.gpu_status if machine.gpu_status != "no NVIDIA GPU found" else None
    return driver_trouble or (None if gpus else Sentence("no GPU found, neither NVIDIA's nor one that torch can use"))
