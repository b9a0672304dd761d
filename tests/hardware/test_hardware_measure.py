"""Measuring: the loop computes what it claims, sizes are bounded, torch's GPUs find their descriptions."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import llvmlite.binding as llvm
import pytest

from hotloop.hardware import Cpu, Gpu, Machine, Measured, Memory, measure, measure_cpu, measure_torch
from hotloop.hardware.fma_loop import compile_fma_loop, fma_loop_ir
from hotloop.hardware.identify_cpu import identify_cpu
from hotloop.hardware.measure_cpu import array_bytes, duration_together_s
from hotloop.hardware.read_torch import read_torch
from hotloop.hardware.reading import CpuReading

MIB = 1 << 20


def a_cpu(**fields) -> Cpu:
    reading = CpuReading("x86_64", threads=2, affinity_threads=2)
    return replace(identify_cpu(reading, None), **fields)


@pytest.mark.parametrize("bits", [128, 256])
def test_every_lane_of_the_loop_does_the_multiply_add(bits):
    loop = compile_fma_loop(bits)
    assert loop.flop_per_iteration == 2 * (bits // 32) * loop.accumulators
    start = list(range(loop.lanes * loop.accumulators))
    assert loop.run(1) == [0.5 * x + 0.5 for x in start]
    assert loop.run(3) == [x / 8 + 0.875 for x in start]
    assert set(loop.run(500)) == {1.0}


@pytest.mark.parametrize("fused", [True, False])
def test_nothing_of_the_loop_is_folded_away(fused):
    """The optimised machine code still holds each accumulator's own operation."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="haswell", opt=3)
    text = machine.emit_assembly(llvm.parse_assembly(fma_loop_ir(8, 12, fused=fused)))
    assert text.count("vfmadd") == (12 if fused else 0)
    assert text.count("vmulps") == (0 if fused else 12)


def test_wide_vectors_are_not_halved():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = llvm.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu="skylake-avx512", opt=3)
    text = machine.emit_assembly(llvm.parse_assembly(fma_loop_ir(16, 24, fused=True)))
    fmas = [line for line in text.splitlines() if "vfmadd" in line]
    assert len(fmas) == 24
    assert all("zmm" in line for line in fmas)


def test_the_same_loop_serves_arm():
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("aarch64-linux-gnu").create_target_machine(cpu="apple-m1", opt=3)
    text = machine.emit_assembly(llvm.parse_assembly(fma_loop_ir(4, 24, fused=True)))
    assert text.count("fmla") == 24


@pytest.mark.parametrize(("cpu", "lanes"), [("neoverse-v1", 8), ("a64fx", 16)])
def test_scalable_vectors_are_used_at_their_full_width(cpu, lanes):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple("aarch64-linux-gnu").create_target_machine(cpu=cpu, opt=3)
    source = fma_loop_ir(lanes, 24, fused=True, scalable=True)
    text = machine.emit_assembly(llvm.parse_assembly(source))
    fmas = [line for line in text.splitlines() if "fmla" in line or "fmad" in line]
    assert len(fmas) == 24
    assert all("\tz" in line for line in fmas)


def test_the_arrays_outgrow_the_caches_within_bounds():
    cpu = a_cpu(l3_bytes=64 * MIB, l3_caches=1)
    assert array_bytes(cpu, None) == 256 * MIB
    assert array_bytes(a_cpu(l3_bytes=MIB), None) == 128 * MIB
    assert array_bytes(a_cpu(l3_bytes=64 * MIB, l3_caches=8), None) == 512 * MIB
    assert array_bytes(cpu, 800 * MIB) == 100 * MIB
    assert array_bytes(cpu, 0) == MIB


@pytest.mark.timing
def test_threads_work_side_by_side_and_the_longest_counts():
    barrier = threading.Barrier(3, timeout=5)
    works = [lambda k=k: (barrier.wait(), time.sleep(0.02 * k)) for k in range(3)]
    duration_s = duration_together_s(works)
    assert 0.04 <= duration_s < 0.5
    assert duration_together_s([lambda: time.sleep(0.02)]) >= 0.02


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(measure_cpu, "_FMA_DURATION_S", 0.002)
    monkeypatch.setattr(measure_cpu, "_REPEATS", 1)
    monkeypatch.setattr(measure_cpu, "_SHORT_RUNS", 1)
    monkeypatch.setattr(measure_cpu, "array_bytes", lambda cpu, available: MIB)
    monkeypatch.setattr(measure_torch, "_BATCHES", 3)


def test_a_cpu_is_measured_on_one_core_and_on_all(quick):
    one, all_of_them = measure_cpu.measure_cpu(a_cpu(simd_bits=128, l3_bytes=MIB), None)
    assert (one.on, all_of_them.on) == ("1 core", "2 threads")
    for figures in (one, all_of_them):
        assert 0.1 < figures.gflop_per_s < 1e5
        assert 0.1 < figures.bandwidth_gb_per_s < 1e5
    assert one.note == (
        "the copied array of 1 MiB is not four times the last-level cache of 1 MiB, which may have helped the copy"
    )


def test_the_figures_of_a_cpu_are_work_over_time(quick, monkeypatch):
    monkeypatch.setattr(measure_cpu, "_FMA_DURATION_S", 0.5)
    monkeypatch.setattr(measure_cpu, "duration_together_s", lambda works: 0.5)
    one, two = measure_cpu.measure_cpu(a_cpu(simd_bits=128, l3_bytes=1), None)
    flop = 10_000 * compile_fma_loop(128).flop_per_iteration
    assert one.gflop_per_s == pytest.approx(flop / 0.5 / 1e9)
    assert two.gflop_per_s == pytest.approx(2 * flop / 0.5 / 1e9)
    # Each byte is read once and written once, whoever does it.
    assert one.bandwidth_gb_per_s == two.bandwidth_gb_per_s == pytest.approx(2 * MIB / 0.5 / 1e9)


def test_one_undisturbed_moment_is_enough_for_the_peak_of_a_core(quick, monkeypatch):
    monkeypatch.setattr(measure_cpu, "_FMA_DURATION_S", 4.0)
    monkeypatch.setattr(measure_cpu, "_SHORT_RUNS", 8)
    # The first run says how long one shall be. Of those that follow, all but one wait for other work.
    durations_s = itertools.chain([0.5, 0.9, 0.8, 0.5], itertools.repeat(1.5))
    monkeypatch.setattr(measure_cpu, "duration_together_s", lambda works: next(durations_s))
    one, _ = measure_cpu.measure_cpu(a_cpu(simd_bits=128, l3_bytes=1), None)
    assert one.gflop_per_s == pytest.approx(10_000 * compile_fma_loop(128).flop_per_iteration / 0.5 / 1e9)


def test_the_figures_of_torch_are_work_over_time(quick, monkeypatch):
    monkeypatch.setattr(measure_torch, "_duration_s", lambda work, device: 1e-3)
    figures = measure_torch.measure_accelerator("cpu", n=32, copy_bytes=4096)
    assert figures.gflop_per_s == pytest.approx(2 * 32**3 / 1e-3 / 1e9)
    assert figures.bandwidth_gb_per_s == pytest.approx(2 * 4096 / 1e-3 / 1e9)
    assert figures.eager_op_us == pytest.approx(1e-3 / 200 * 1e6)


def test_without_a_known_width_arithmetic_is_not_measured(quick):
    (figures,) = measure_cpu.measure_cpu(a_cpu(usable_threads=1), None)
    assert figures.gflop_per_s is None
    assert figures.bandwidth_gb_per_s is not None
    assert figures.note == "arithmetic not measured: the vector width is unknown"


def test_where_new_code_is_forbidden_arithmetic_is_not_measured(quick, monkeypatch):
    def forbidden(bits):
        raise OSError("not permitted\nmore")

    monkeypatch.setattr(measure_cpu, "compile_fma_loop", forbidden)
    (figures,) = measure_cpu.measure_cpu(a_cpu(usable_threads=1, simd_bits=128), None)
    assert figures.note == "arithmetic not measured: not permitted"


def test_torch_on_any_device(quick):
    import torch

    figures = measure_torch.measure_accelerator("cpu", n=32, copy_bytes=4096)
    assert figures.on == "cpu"
    assert min(figures.gflop_per_s, figures.bandwidth_gb_per_s, figures.eager_op_us) > 0
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_device_that_fails_says_why_and_leaves_torch_as_it_was(quick):
    import torch

    torch.set_float32_matmul_precision("high")
    try:
        figures = measure_torch.measure_accelerator("meta:7x", n=4, copy_bytes=64)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert figures.gflop_per_s is None
    assert figures.note.startswith("not measured: ")
    assert "\n" not in figures.note


def test_an_accelerator_is_waited_for(monkeypatch):
    import torch

    waited = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    measure_torch._duration_s(lambda: waited.append("work"), "cuda:0")
    assert waited == ["cuda:0", "work", "cuda:0"]


def fake_torch(*, cuda=(), hip=None, mps=False, xpu=(), built_for="12.8"):
    """Stand in for torch as far as the search for devices goes."""

    def properties(names):
        return lambda index: SimpleNamespace(
            name=names[index], major=8, minor=9, total_memory=100, multi_processor_count=66
        )

    def family(names):
        return SimpleNamespace(
            is_available=lambda: bool(names),
            device_count=lambda: len(names),
            get_device_properties=properties(names),
            mem_get_info=lambda index: (60, 100),
        )

    return SimpleNamespace(
        cuda=family(cuda),
        xpu=family(xpu),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
        mps=SimpleNamespace(recommended_max_memory=lambda: 70, driver_allocated_memory=lambda: 10),
        version=SimpleNamespace(hip=hip, cuda=built_for),
    )


def test_torch_finds_the_gpus_of_every_maker():
    found = dict(read_torch(fake_torch(cuda=("A", "B"), mps=True, xpu=("Arc",)), "Apple M2"))
    assert list(found) == ["cuda:0", "cuda:1", "mps", "xpu:0"]
    assert (found["cuda:1"].name, found["cuda:1"].compute_capability) == ("B", (8, 9))
    assert (found["cuda:1"].multiprocessors, found["cuda:1"].free_bytes) == (66, 60)
    assert (found["mps"].name, found["mps"].total_bytes, found["mps"].free_bytes) == ("Apple M2", 70, 60)
    assert (found["xpu:0"].kind, found["xpu:0"].name) == ("xpu", "Arc")


def test_amds_gpus_are_not_taken_for_nvidias():
    ((device, gpu),) = read_torch(fake_torch(cuda=("AMD Instinct MI300X",), hip="6.2"), None)
    assert (device, gpu.kind, gpu.compute_capability) == ("cuda:0", "rocm", None)


def test_a_gpu_beside_another_makers_processor_has_no_name():
    ((_, gpu),) = read_torch(fake_torch(mps=True), "Intel(R) Core(TM) i9")
    assert gpu.name is None


def a_machine(*gpus: Gpu, status: str | None = None) -> Machine:
    return Machine("Linux", False, None, a_cpu(), Memory(None, None), gpus, status)


@pytest.fixture
def figures_by_device(monkeypatch):
    monkeypatch.setattr(measure_torch, "measure_accelerator", lambda device: Measured(on=device, gflop_per_s=1.0))


def measured_gpus(torch, machine):
    from hotloop.hardware.measure import _measure_gpus

    return _measure_gpus(torch, machine)


def test_figures_go_to_the_gpu_of_that_name(figures_by_device):
    machine = a_machine(*(Gpu(k, "cuda", name, "NVIDIA") for k, name in enumerate(["Slow", "Fast", "Fast"])))
    gpus, status = measured_gpus(fake_torch(cuda=("Fast", "Fast", "Slow")), machine)
    assert [gpu.measured[0].on for gpu in gpus] == ["cuda:2", "cuda:0", "cuda:1"]
    assert status is None


def test_a_gpu_only_torch_knows_is_added(figures_by_device):
    gpus, status = measured_gpus(fake_torch(xpu=("Arc",)), a_machine(status="no NVIDIA GPU found"))
    assert [(gpu.name, gpu.vendor, gpu.measured[0].on) for gpu in gpus] == [("Arc", "Intel", "xpu:0")]
    assert status is None


@pytest.mark.parametrize(("built_for", "why"), [(None, "is built without CUDA"), ("12.8", "does not see this GPU")])
def test_a_gpu_torch_cannot_use_says_so(figures_by_device, built_for, why):
    (gpu,), _ = measured_gpus(fake_torch(built_for=built_for), a_machine(Gpu(0, "cuda", "X", "NVIDIA")))
    assert gpu.notes == (f"not measured: the torch installed here {why}",)


def test_what_was_not_found_is_said(figures_by_device):
    _, status = measured_gpus(fake_torch(), a_machine(status="no NVIDIA GPU found"))
    assert status == "no GPU found, neither NVIDIA's nor one that torch can use"
    _, status = measured_gpus(fake_torch(), a_machine(status="NVIDIA driver not loaded: x"))
    assert status == "NVIDIA driver not loaded: x"


def test_a_machine_is_measured_whole(quick, monkeypatch):
    monkeypatch.setattr("hotloop.hardware.read_torch.read_torch", lambda torch, name: ())
    machine = measure(a_machine(status="no NVIDIA GPU found"))
    assert [figures.on for figures in machine.cpu.measured] == ["1 core", "2 threads"]
    assert machine.cpu.measured[0].eager_op_us > 0
    assert machine.gpu_status.startswith("no GPU found")
