"""``hotloop devices``: what machine this is."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import groupby
from json import dumps
from pathlib import Path

from hotloop.hardware import Cpu, Gpu, Machine, Measured, Memory, describe
from hotloop.hardware import measure as measure_machine
from hotloop.language import Sentence, _, clauses, current, pad, shown, translated, wrap

__all__ = ["devices", "render"]

_LABEL_WIDTH = 17
_LINE_WIDTH = 96


def devices(*, measure: bool = False, json: bool = False, passport: Path | None = None) -> None:
    """Show what machine this is: its CPU, memory and GPUs.

    Parameters
    ----------
    measure
        Also measure peak arithmetic, memory bandwidth and the cost of one torch operation (some seconds), and
        look for the GPUs of AMD, Apple and Intel.
    json
        Print JSON for programs.
    passport
        Measure also what forecasts are made from, of the GPU if torch sees one, else of the processor (half a
        minute), and write it to this file, for `hotloop explain --machine` on another machine.
    """
    machine = describe()
    if measure:
        print(_("Measuring for some seconds ..."), file=sys.stderr, flush=True)
        machine = measure_machine(machine)
    print(dumps(machine.to_json(), indent=2) if json else render(machine))
    if passport is not None:
        _write_passport(passport)


def _write_passport(path: Path) -> None:
    from hotloop.files import check_writable

    check_writable(path.absolute().parent)
    import torch

    from hotloop.insight.machines.measure_passport import measure_passport
    from hotloop.insight.machines.passport import save_passport

    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(_("Measuring what forecasts are made from ..."), file=sys.stderr, flush=True)
    found = measure_passport(device)
    save_passport(found, path)
    print(_("The passport of {machine} is in {path}").format(machine=found.name, path=path), file=sys.stderr)


def render(machine: Machine) -> str:
    """Return the machine as plain text for people; in English in ASCII, so that every console can show it."""
    lines = _cpu_lines(machine)
    for _gpu, alike in groupby(machine.gpus, key=_apart_from_use):
        lines += ["", *_gpu_lines(list(alike))]
    if machine.gpu_status:
        looked_with_torch = bool(machine.cpu.measured)
        others = () if looked_with_torch else (Sentence("others are looked for with --measure"),)
        lines += ["", "GPU", *_row("", shown(clauses(machine.gpu_status, *others)))]
    text = "\n".join(lines)
    return text.encode("ascii", "replace").decode() if current() == "en" else text


def _cpu_lines(machine: Machine) -> list[str]:
    cpu = machine.cpu
    rows = [
        (_("processor"), _known(cpu.name)),
        (_("architecture"), _architecture(cpu)),
        (_("cores"), _cores(cpu)),
        (_("threads"), _threads(cpu)),
        (_("vectors"), _vectors(cpu)),
        (_("caches"), _caches(cpu)),
        (_("memory"), _memory(machine.memory)),
        (_("machine"), _virtual(machine)),
        (_("system"), machine.operating_system),
        *((_("measured"), _measured(figures)) for figures in cpu.measured),
    ]
    return _section("CPU", rows, _cpu_meaning(cpu), [*cpu.notes, *_measured_notes(cpu.measured)])


def _apart_from_use(gpu: Gpu) -> Gpu:
    """Return what GPUs of one kind have in common; a measured one stands alone."""
    return gpu if gpu.measured else replace(gpu, index=0, free_bytes=None)


def _gpu_lines(alike: list[Gpu]) -> list[str]:
    """Describe GPUs that differ in number and free memory only, by the one with the least left."""
    gpu = min(alike, key=lambda gpu: gpu.free_bytes or 0)
    title = _("GPU {first} to {last}, all alike") if len(alike) > 1 else "GPU {first}"
    rows = [
        (_("product"), _known(gpu.name)),
        (_("tier"), _tier(gpu)),
        (_("architecture"), _gpu_architecture(gpu)),
        (_("GPU memory"), _memory(Memory(gpu.total_bytes, gpu.free_bytes))),
        (_("multiprocessors"), _known(gpu.multiprocessors)),
        (_("driver"), _driver(gpu)),
        *((_("measured"), _measured(figures)) for figures in gpu.measured),
    ]
    notes = [*gpu.notes, *_measured_notes(gpu.measured)]
    title = title.format(first=alike[0].index, last=alike[-1].index)
    return _section(title, rows, _gpu_meaning(gpu), notes)


def _section(title: str, rows: list[tuple[str, str]], meaning: list[str], notes: list[str]) -> list[str]:
    lines = [title]
    for label, text in rows:
        lines += _row(label, text)
    for sentence in meaning:
        lines += _row(_("What this means"), sentence)
    for note in notes:
        lines += _row(_("Note"), shown(note))
    return lines


def _row(label: str, text: str) -> list[str]:
    indent = " " * (2 + _LABEL_WIDTH) if label else "  "
    first = f"  {pad(label, _LABEL_WIDTH)}" if label else "  "
    return wrap(text, _LINE_WIDTH, first=first, rest=indent)


def _architecture(cpu: Cpu) -> str:
    if cpu.microarchitecture is None:
        return _("{vendor}, generation unknown").format(vendor=cpu.vendor) if cpu.vendor else _("unknown")
    line = f" ({cpu.generation})" if cpu.generation else ""
    vendor = "" if cpu.microarchitecture.startswith(str(cpu.vendor)) else f"{_known(cpu.vendor)} "
    return _("{product}, {year}").format(product=f"{vendor}{cpu.microarchitecture}{line}", year=_known(cpu.year))


def _cores(cpu: Cpu) -> str:
    if cpu.performance_cores is None or cpu.efficiency_cores is None:
        return _known(cpu.physical_cores)
    kinds = _("{cores} ({fast} for performance, {thrifty} for efficiency)")
    return kinds.format(cores=_known(cpu.physical_cores), fast=cpu.performance_cores, thrifty=cpu.efficiency_cores)


def _threads(cpu: Cpu) -> str:
    text = _("{threads}, {usable} usable by this process")
    if cpu.usable_threads == cpu.threads:
        text = _("{threads}, all usable by this process")
    return text.format(threads=_known(cpu.threads), usable=_known(cpu.usable_threads))


def _vectors(cpu: Cpu) -> str:
    if cpu.simd is None:
        return _("unknown")
    width = _("{n} bits").format(n=cpu.simd_bits) if cpu.simd_bits else _("width unknown")
    text = _("{simd}, {width}, and {unit} for matrices") if cpu.matrix_unit else _("{simd}, {width}")
    return text.format(simd=cpu.simd, width=width, unit=cpu.matrix_unit)


def _caches(cpu: Cpu) -> str:
    if cpu.l1d_bytes == cpu.l2_bytes == cpu.l3_bytes is None:
        return _("unknown")
    several = f" x {cpu.l3_caches}" if cpu.l3_bytes and (cpu.l3_caches or 1) > 1 else ""
    levels = (f"L1d {_size(cpu.l1d_bytes)}", f"L2 {_size(cpu.l2_bytes)}", f"L3 {_size(cpu.l3_bytes)}{several}")
    return _(", ").join(levels)


def _memory(memory: Memory) -> str:
    text = _("{total}, free now: {free}")
    if memory.limit_bytes:
        text = _("{total}, limited to {limit} here, free now: {free}")
    sizes = memory.total_bytes, memory.limit_bytes, memory.available_bytes
    total, limit, free = map(_size, sizes)
    return text.format(total=total, limit=limit, free=free)


def _virtual(machine: Machine) -> str:
    if machine.virtual is None:
        return _("unknown whether virtual")
    if not machine.virtual:
        return _("not virtual")
    return _("virtual ({hypervisor})").format(hypervisor=machine.hypervisor or _("hypervisor unknown"))


def _tier(gpu: Gpu) -> str:
    if gpu.tier is None:
        return _("unknown")
    return _("{tier}, {market}").format(tier=translated(gpu.tier), market=translated(gpu.market or ""))


def _gpu_architecture(gpu: Gpu) -> str:
    capability = _(" (compute capability {number})").format(number=gpu.compute_capability)
    name = (gpu.architecture or _("generation unknown")) + (capability if gpu.compute_capability else "")
    return _(", ").join(str(part) for part in (gpu.vendor, name, gpu.year) if part)


def _driver(gpu: Gpu) -> str:
    text = _("{driver}, CUDA up to {cuda}") if gpu.cuda_version else "{driver}"
    return text.format(driver=_known(gpu.driver_version), cuda=gpu.cuda_version)


def _measured(figures: Measured) -> str:
    speed = figures.gflop_per_s is not None and f"{_figure(figures.gflop_per_s)} GFLOP/s"
    bandwidth = figures.bandwidth_gb_per_s is not None and f"{_figure(figures.bandwidth_gb_per_s)} GB/s"
    op = ""
    if figures.eager_op_us is not None:
        op = _("{us} us per eager torch operation").format(us=_figure(figures.eager_op_us))
    parts = [part for part in (speed, bandwidth, op) if part]
    return _("{on}: {figures}").format(on=shown(figures.on), figures=_(", ").join(parts) or _("unknown"))


def _measured_notes(measured: tuple[Measured, ...]) -> list[str]:
    """Return each condition once."""
    return list(dict.fromkeys(figures.note for figures in measured if figures.note))


def _cpu_meaning(cpu: Cpu) -> list[str]:
    numbers = cpu.float32_per_instruction
    wide = _("One vector instruction works on {n} float32 numbers at once.").format(n=numbers)
    return [wide] * bool(numbers) + _cost_of_an_operation(cpu.measured)


def _gpu_meaning(gpu: Gpu) -> list[str]:
    room = []
    if gpu.free_bytes:
        text = _("The free memory holds {n} million float32 numbers.")
        room = [text.format(n=_figure(gpu.free_bytes / 4e6))]
    return room + _cost_of_an_operation(gpu.measured)


def _cost_of_an_operation(measured: tuple[Measured, ...]) -> list[str]:
    """Set torch's overhead beside the arithmetic that the same device does in that time."""
    text = _("While torch issues one tiny operation, {device} could do {n} float32 operations.")
    return [
        text.format(device=shown(figures.on), n=_figure(figures.eager_op_us * figures.gflop_per_s * 1e3))
        for figures in measured
        if figures.eager_op_us and figures.gflop_per_s
    ]


def _known(value: object) -> str:
    return _("unknown") if value is None else str(value)


def _size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return _("unknown")
    units = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))
    shift, unit = next(((shift, unit) for shift, unit in units if size_bytes >> shift), (0, "bytes"))
    return f"{_figure(size_bytes / (1 << shift))} {unit}"


def _figure(value: float) -> str:
    """Round to three figures, without an exponent."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"
