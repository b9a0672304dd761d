"""Synthetic machines replayed: each reading must lead to exactly the description beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hotloop.cli.devices import render
from hotloop.hardware import Measured
from hotloop.hardware.identify_machine import identify_machine
from hotloop.hardware.reading import CpuReading, GpuReading, MachineReading

MACHINES = {path.stem: json.loads(path.read_text()) for path in Path(__file__).parent.glob("machines/*.json")}


def reading_of(written: dict[str, Any]) -> MachineReading:
    fields = dict(written)
    cpu = dict(fields.pop("cpu"))
    gpus = [dict(gpu) for gpu in fields.pop("gpus", [])]
    for gpu in gpus:
        capability = gpu.get("compute_capability")
        gpu["compute_capability"] = tuple(capability) if capability else None
    return MachineReading(
        cpu=CpuReading(**{**cpu, "features": frozenset(cpu.get("features", ()))}),
        gpus=tuple(GpuReading(**gpu) for gpu in gpus),
        hypervisor_ids=tuple(fields.pop("hypervisor_ids", ())),
        **fields,
    )


def text_of(name: str) -> str:
    return render(identify_machine(reading_of(MACHINES[name]["reading"])))


def test_there_are_enough_machines_and_all_say_that_they_are_synthetic():
    assert len(MACHINES) >= 14
    assert all(machine["synthetic"] is True for machine in MACHINES.values())


@pytest.mark.parametrize("name", MACHINES)
def test_the_description_is_the_expected_one(name: str):
    described = identify_machine(reading_of(MACHINES[name]["reading"])).to_json()
    assert json.loads(json.dumps(described)) == MACHINES[name]["expected"]


@pytest.mark.parametrize("name", MACHINES)
def test_the_text_is_ascii_and_says_what_the_lesson_looks_at(name: str):
    text, expected = text_of(name), MACHINES[name]["expected"]
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 96
    cpu = expected["cpu"]
    for fact in (cpu["microarchitecture"], cpu["year"], cpu["threads"], cpu["simd"]):
        assert (str(fact) if fact is not None else "unknown") in text
    for gpu in expected["gpus"]:
        for fact in (gpu["name"], gpu["tier"], gpu["architecture"], gpu["multiprocessors"]):
            assert (str(fact) if fact is not None else "unknown") in text


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("laptop-intel-hybrid", ("Intel Alder Lake (12th generation Core), 2021", "not virtual")),
        ("laptop-amd", ("AMD Zen 3 (Ryzen 5000 with graphics), 2020", "8 float32 numbers")),
        ("vm-kvm-zen5", ("AMD Zen 5", "virtual (KVM)", "16 float32 numbers")),
        ("server-xeon-8xh100", ("GPU 0 to 7, all alike", "flagship, data centre", "132", "1.97 TiB")),
        ("cloud-graviton3", ("Arm Neoverse V1 (AWS Graviton3), 2022", "SVE, 256 bits")),
        ("apple-m2-mps", ("Apple M2, 2022", "8 (4 for performance, 4 for efficiency)", "shares the main")),
        (
            "desktop-windows-4070-ti-super",
            ("high-end, desktop", "Ada Lovelace (compute capability 8.9), 2022"),
        ),
        ("laptop-rtx-4060", ("mid-range, laptop", "Raptor Lake")),
        (
            "workstation-a6000",
            ("flagship, workstation", "Ampere (compute capability 8.6), 2020", "32 MiB x 4"),
        ),
        ("two-different-gpus", ("GPU 0\n", "GPU 1\n", "32, 16 usable", "Pascal")),
        ("desktop-sandy-bridge", ("Sandy Bridge", "2011", "NVIDIA driver not loaded: Driver Not Loaded")),
        ("container-1.5-cpus", ("16, 1 usable", "limited to 2 GiB", "the work of 1.5 CPUs", "VMware")),
        ("desktop-gtx-1650", ("entry, desktop", "Comet Lake", "Turing (compute capability 7.5), 2018")),
        (
            "never-seen",
            ("Intel, generation unknown", "not in the table", "unknown (compute capability 14.0)"),
        ),
        ("vm-amx-hidden-a10-share", ("normally has AMX", "a virtual GPU")),
    ],
)
def test_the_text_of_a_machine(name: str, facts: tuple[str, ...]):
    text = " ".join(text_of(name).split())
    assert all(" ".join(fact.split()) in text for fact in facts), text


def test_a_masked_processor_is_not_believed():
    """LLVM and CPUID say Rocket Lake, the features say that it cannot be one."""
    text = " ".join(text_of("vm-masked-xeon").split())
    assert "Intel, generation unknown" in text
    assert "names itself Rocket Lake (family 6 model 167)" in text
    assert "AMX, which Rocket Lake lacks" in text
    assert "at least those of Sapphire Rapids (2023)" in text


def test_gpus_alike_are_shown_by_the_one_with_the_least_memory_left():
    machine = identify_machine(reading_of(MACHINES["server-xeon-8xh100"]["reading"]))
    busy = replace(machine.gpus[3], free_bytes=4 << 30)
    text = " ".join(render(replace(machine, gpus=(*machine.gpus[:3], busy, *machine.gpus[4:]))).split())
    assert "GPU 0 to 7, all alike" in text
    assert "free now: 4 GiB" in text
    assert "holds 1,070 million float32 numbers" in text


def test_a_measured_machine_shows_the_figures():
    machine = MACHINES["laptop-rtx-4060"]["reading"]
    described = identify_machine(reading_of(machine))
    cpu = replace(
        described.cpu,
        measured=(Measured("1 core", 150.04, 20.0, 1.0), Measured("16 threads", 1234.0, note="busy")),
    )
    gpu = replace(described.gpus[0], measured=(Measured("cuda:0", note="not measured: no memory"),))
    text = " ".join(render(replace(described, cpu=cpu, gpus=(gpu,))).split())
    assert "1 core: 150 GFLOP/s, 20 GB/s, 1 us per eager torch operation" in text
    assert "16 threads: 1,230 GFLOP/s" in text
    assert "1 core could do 150,000 float32 operations" in text
    assert "cuda:0: unknown" in text
    assert "busy" in text
    assert "not measured: no memory" in text
