"""``hotloop devices``: what machine this is."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from itertools import groupby
from json import dumps

from hotloop.hardware import Cpu, Gpu, Machine, Measured, Memory, describe
from hotloop.hardware import measure as measure_machine

__all__ = ["devices", "render"]

_LABEL_WIDTH = 17
_LINE_WIDTH = 96


def devices(*, measure: bool = False, json: bool = False) -> None:
    """Show what machine this is: its CPU, memory and GPUs.

    Parameters
    ----------
    measure
        Also measure peak arithmetic, memory bandwidth and the cost of one torch operation (some seconds), and
        look for the GPUs of AMD, Apple and Intel.
    json
        Print JSON for programs.
    """
    machine = describe()
    if measure:
        print("Measuring for some seconds ...", file=sys.stderr, flush=True)
        machine = measure_machine(machine)
    print(dumps(machine.to_json(), indent=2) if json else render(machine))


def render(machine: Machine) -> str:
    """Return the machine as plain text for people, in ASCII so that every console can show it."""
    lines = _cpu_lines(machine)
    for _, alike in groupby(machine.gpus, key=_apart_from_use):
        lines += ["", *_gpu_lines(list(alike))]
    if machine.gpu_status:
        looked_with_torch = bool(machine.cpu.measured)
        hint = "" if looked_with_torch else "; others are looked for with --measure"
        lines += ["", "GPU", *_row("", machine.gpu_status + hint)]
    return "\n".join(lines).encode("ascii", "replace").decode()


def _cpu_lines(machine: Machine) -> list[str]:
    cpu = machine.cpu
    rows = [
        ("processor", _known(cpu.name)),
        ("architecture", _architecture(cpu)),
        ("cores", _cores(cpu)),
        ("threads", _threads(cpu)),
        ("vectors", _vectors(cpu)),
        ("caches", _caches(cpu)),
        ("memory", _memory(machine.memory)),
        ("machine", _virtual(machine)),
        ("system", machine.operating_system),
        *(("measured", _measured(figures)) for figures in cpu.measured),
    ]
    return _section("CPU", rows, _cpu_meaning(cpu), [*cpu.notes, *_measured_notes(cpu.measured)])


def _apart_from_use(gpu: Gpu) -> Gpu:
    """Return what GPUs of one kind have in common; a measured one stands alone."""
    return gpu if gpu.measured else replace(gpu, index=0, free_bytes=None)


def _gpu_lines(alike: list[Gpu]) -> list[str]:
    """Describe GPUs that differ in number and free memory only, by the one with the least left."""
    gpu = min(alike, key=lambda gpu: gpu.free_bytes or 0)
    several = f" to {alike[-1].index}, all alike" if len(alike) > 1 else ""
    rows = [
        ("product", _known(gpu.name)),
        ("tier", _tier(gpu)),
        ("architecture", _gpu_architecture(gpu)),
        ("memory", _memory(Memory(gpu.total_bytes, gpu.free_bytes))),
        ("multiprocessors", _known(gpu.multiprocessors)),
        ("driver", _driver(gpu)),
        *(("measured", _measured(figures)) for figures in gpu.measured),
    ]
    notes = [*gpu.notes, *_measured_notes(gpu.measured)]
    return _section(f"GPU {alike[0].index}{several}", rows, _gpu_meaning(gpu), notes)


def _section(title: str, rows: list[tuple[str, str]], meaning: list[str], notes: list[str]) -> list[str]:
    lines = [title]
    for label, text in rows:
        lines += _row(label, text)
    for sentence in meaning:
        lines += _row("What this means", sentence)
    for note in notes:
        lines += _row("Note", note)
    return lines


def _row(label: str, text: str) -> list[str]:
    indent = " " * (2 + _LABEL_WIDTH) if label else "  "
    first = f"  {label:<{_LABEL_WIDTH}}" if label else "  "
    return textwrap.wrap(text, _LINE_WIDTH, initial_indent=first, subsequent_indent=indent)


def _architecture(cpu: Cpu) -> str:
    if cpu.microarchitecture is None:
        return f"{cpu.vendor}, generation unknown" if cpu.vendor else "unknown"
    line = f" ({cpu.generation})" if cpu.generation else ""
    vendor = "" if cpu.microarchitecture.startswith(str(cpu.vendor)) else f"{_known(cpu.vendor)} "
    return f"{vendor}{cpu.microarchitecture}{line}, {_known(cpu.year)}"


def _cores(cpu: Cpu) -> str:
    if cpu.performance_cores is None or cpu.efficiency_cores is None:
        return _known(cpu.physical_cores)
    kinds = f"{cpu.performance_cores} for performance, {cpu.efficiency_cores} for efficiency"
    return f"{_known(cpu.physical_cores)} ({kinds})"


def _threads(cpu: Cpu) -> str:
    usable = "all usable" if cpu.usable_threads == cpu.threads else f"{_known(cpu.usable_threads)} usable"
    return f"{_known(cpu.threads)}, {usable} by this process"


def _vectors(cpu: Cpu) -> str:
    if cpu.simd is None:
        return "unknown"
    width = f"{cpu.simd_bits} bits" if cpu.simd_bits else "width unknown"
    matrix = f", and {cpu.matrix_unit} for matrices" if cpu.matrix_unit else ""
    return f"{cpu.simd}, {width}{matrix}"


def _caches(cpu: Cpu) -> str:
    several = f" x {cpu.l3_caches}" if cpu.l3_bytes and (cpu.l3_caches or 1) > 1 else ""
    sizes = f"L1d {_size(cpu.l1d_bytes)}, L2 {_size(cpu.l2_bytes)}, L3 {_size(cpu.l3_bytes)}{several}"
    return "unknown" if cpu.l1d_bytes == cpu.l2_bytes == cpu.l3_bytes is None else sizes


def _memory(memory: Memory) -> str:
    limit = f", limited to {_size(memory.limit_bytes)} here" if memory.limit_bytes else ""
    return f"{_size(memory.total_bytes)}{limit}, free now: {_size(memory.available_bytes)}"


def _virtual(machine: Machine) -> str:
    if machine.virtual is None:
        return "unknown whether virtual"
    hypervisor = machine.hypervisor or "hypervisor unknown"
    return f"virtual ({hypervisor})" if machine.virtual else "not virtual"


def _tier(gpu: Gpu) -> str:
    if gpu.tier is None:
        return "unknown"
    return f"{gpu.tier}, {gpu.market}"


def _gpu_architecture(gpu: Gpu) -> str:
    capability = f" (compute capability {gpu.compute_capability})" if gpu.compute_capability else ""
    year = f", {gpu.year}" if gpu.year else ""
    vendor = f"{gpu.vendor}, " if gpu.vendor else ""
    return f"{vendor}{gpu.architecture or 'generation unknown'}{capability}{year}"


def _driver(gpu: Gpu) -> str:
    cuda = f", CUDA up to {gpu.cuda_version}" if gpu.cuda_version else ""
    return f"{_known(gpu.driver_version)}{cuda}"


def _measured(figures: Measured) -> str:
    parts = [
        figures.gflop_per_s is not None and f"{_figure(figures.gflop_per_s)} GFLOP/s",
        figures.bandwidth_gb_per_s is not None and f"{_figure(figures.bandwidth_gb_per_s)} GB/s",
        figures.eager_op_us is not None and f"{_figure(figures.eager_op_us)} us per eager torch operation",
    ]
    return f"{figures.on}: {', '.join(part for part in parts if part) or 'unknown'}"


def _measured_notes(measured: tuple[Measured, ...]) -> list[str]:
    """Return each condition once."""
    return list(dict.fromkeys(figures.note for figures in measured if figures.note))


def _cpu_meaning(cpu: Cpu) -> list[str]:
    numbers = cpu.float32_per_instruction
    wide = [f"One vector instruction works on {numbers} float32 numbers at once."] if numbers else []
    return wide + _cost_of_an_operation(cpu.measured)


def _gpu_meaning(gpu: Gpu) -> list[str]:
    room = []
    if gpu.free_bytes:
        room = [f"The free memory holds {_figure(gpu.free_bytes / 4e6)} million float32 numbers."]
    return room + _cost_of_an_operation(gpu.measured)


def _cost_of_an_operation(measured: tuple[Measured, ...]) -> list[str]:
    """Set torch's overhead beside the arithmetic that the same device does in that time."""
    return [
        f"While torch issues one tiny operation, {figures.on} could do "
        f"{_figure(figures.eager_op_us * figures.gflop_per_s * 1e3)} float32 operations."
        for figures in measured
        if figures.eager_op_us and figures.gflop_per_s
    ]


def _known(value: object) -> str:
    return "unknown" if value is None else str(value)


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "unknown"
    units = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))
    shift, unit = next(((shift, unit) for shift, unit in units if size_bytes >> shift), (0, "bytes"))
    return f"{_figure(size_bytes / (1 << shift))} {unit}"


def _figure(value: float) -> str:
    """Round to three figures, without an exponent."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
