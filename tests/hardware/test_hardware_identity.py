"""The table of generations, and what contradicts it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotloop.hardware.find_generation import at_least, find_generation
from hotloop.hardware.generations import ARM, FEATURE_WORDS, X86
from hotloop.hardware.identify_cpu import identify_cpu
from hotloop.hardware.identify_gpu import identify_gpu
from hotloop.hardware.identify_machine import identify_machine
from hotloop.hardware.reading import CpuReading, GpuReading, MachineReading

IDS = {"Intel": "GenuineIntel", "AMD": "AuthenticAMD"}
ROCKET_LAKE = CpuReading("x86_64", "GenuineIntel", 6, 167, 1, features=frozenset({"avx", "avx2", "avx512f"}))


@pytest.mark.parametrize(
    ("vendor", "family", "model", "stepping", "brand", "name"),
    [
        ("Intel", 6, 0x55, 4, "", "Skylake (server)"),
        ("Intel", 6, 0x55, 7, "", "Cascade Lake"),
        ("Intel", 6, 0x55, 11, "", "Cooper Lake"),
        ("Intel", 6, 0x8E, 9, "Intel(R) Core(TM) i7-7500U CPU @ 2.70GHz", "Kaby Lake"),
        ("Intel", 6, 0x8E, 9, "Intel(R) Core(TM) i7-8500Y CPU @ 1.50GHz", "Amber Lake"),
        ("Intel", 6, 0x8E, 10, "Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz", "Kaby Lake Refresh"),
        ("Intel", 6, 0x8E, 10, "Intel(R) Core(TM) i5-8259U CPU @ 2.30GHz", "Coffee Lake"),
        ("Intel", 6, 0x8E, 12, "Intel(R) Core(TM) i5-8265U CPU @ 1.60GHz", "Whiskey Lake"),
        ("Intel", 6, 0x8E, 12, "Intel(R) Core(TM) i5-10210U CPU @ 1.60GHz", "Comet Lake"),
        ("Intel", 6, 0x8E, 12, "Intel(R) Pentium(R)", None),
        ("Intel", 6, 0x9E, 10, "", "Coffee Lake"),
        ("Intel", 6, 0xAD, 1, "", "Granite Rapids"),
        ("Intel", 6, 0xBD, 1, "", "Lunar Lake"),
        ("Intel", 0x1A, 2, 1, "", None),
        ("AMD", 0x17, 0x08, 2, "", "Zen+"),
        ("AMD", 0x17, 0x71, 0, "", "Zen 2"),
        ("AMD", 0x19, 0x44, 1, "", "Zen 3+"),
        ("AMD", 0x19, 0xA0, 2, "", "Zen 4c"),
        ("AMD", 0x1A, 0x11, 0, "", "Zen 5c"),
        (None, 6, 0x55, 4, "", None),
    ],
)
def test_x86_by_its_numbers(vendor, family, model, stepping, brand, name):
    found = find_generation(vendor, family, model, stepping, brand, "skylake")
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("brand", "llvm_name", "name"),
    [
        ("Apple M1 Max", "apple-m1", "Apple M1"),
        ("Apple M4 Pro", "apple-m1", "Apple M4"),
        ("Apple M12", "apple-m5", None),
        ("Apple processor", "apple-m2", "Apple M2"),
        (None, "neoverse-v2", "Neoverse V2"),
        (None, "generic", None),
    ],
)
def test_arm_by_brand_and_llvm_name(brand, llvm_name, name):
    found = find_generation("Arm", None, None, None, brand, llvm_name)
    assert (found.name if found else None) == name


def test_no_processor_is_in_the_table_twice():
    marks = [
        (row.vendor, row.family, model, stepping, row.brand)
        for row in X86
        for model in row.models
        for stepping in row.steppings or range(16)
    ]
    assert len(marks) == len(set(marks))
    assert len({row.llvm_name for row in ARM}) == len(ARM)


def test_every_row_names_known_features_and_a_likely_year():
    for row in X86 + ARM:
        assert row.features | row.rarely <= FEATURE_WORDS.keys()
        assert 2011 <= row.year <= 2026


@given(st.sampled_from(X86), st.sampled_from(sorted(FEATURE_WORDS)))
def test_a_feature_the_generation_lacks_makes_it_unknown(row, feature):
    stepping = min(row.steppings) if row.steppings else 0
    brand = "i7-7500U i7-8500Y i5-8250U i5-8259U i5-8265U i5-10210U" if row.brand else None
    reading = CpuReading("x86_64", IDS[row.vendor], row.family, min(row.models), stepping, brand, features=row.features)
    plain = identify_cpu(reading, None)
    assert plain.microarchitecture is not None
    assert plain.notes == ()
    strange = identify_cpu(replace(reading, features=row.features | {feature}), None)
    if feature in row.features | row.rarely:
        assert strange.microarchitecture is not None
    elif plain.microarchitecture == row.name:
        assert strange.microarchitecture is strange.generation is strange.year is None
        assert FEATURE_WORDS[feature] in strange.notes[0]


def test_the_lower_bound_is_the_earliest_generation_with_all_features():
    assert at_least("Intel", frozenset({"avx"})).name == "Sandy Bridge"
    assert at_least("Intel", frozenset({"avx512f", "avx512vl"})).name == "Skylake (server)"
    assert at_least("Intel", frozenset({"amx-tile", "avx10.1"})).name == "Granite Rapids"
    assert at_least("AMD", frozenset({"avx512f"})).name == "Zen 4"
    assert at_least("AMD", frozenset({"amx-tile"})) is None
    assert at_least(None, frozenset({"avx"})) is None


@given(
    st.builds(
        CpuReading,
        architecture=st.sampled_from(["x86_64", "amd64", "arm64", "ppc64le", ""]),
        vendor_id=st.sampled_from(["GenuineIntel", "AuthenticAMD", "0x41", "Apple", "x", None]),
        family=st.none() | st.integers(0, 300),
        model=st.none() | st.integers(0, 300),
        stepping=st.none() | st.integers(0, 20),
        brand=st.none() | st.text(),
        llvm_name=st.none() | st.text(),
        features=st.frozensets(st.sampled_from([*FEATURE_WORDS, "sse2", "neon", "sve", "sve2"])),
        threads=st.none() | st.integers(1, 512),
        affinity_threads=st.none() | st.integers(1, 512),
        quota_cpus=st.none() | st.floats(0.01, 600),
    ),
    st.none() | st.booleans(),
)
def test_any_reading_is_described(reading, virtual):
    cpu = identify_cpu(reading, virtual)
    assert cpu.usable_threads is None or cpu.usable_threads >= 1
    assert (cpu.year is None) == (cpu.microarchitecture is None)
    assert cpu.simd_bits is None or cpu.float32_per_instruction == cpu.simd_bits // 32


@pytest.mark.parametrize(
    ("features", "simd"),
    [
        ({"sse2"}, ("SSE2", 128)),
        ({"sse2", "sse4.2"}, ("SSE4.2", 128)),
        ({"sse2", "avx"}, ("AVX", 256)),
        ({"avx", "avx2"}, ("AVX2", 256)),
        ({"avx2", "avx512f"}, ("AVX-512", 512)),
        (set(), (None, None)),
    ],
)
def test_x86_vectors(features, simd):
    cpu = identify_cpu(CpuReading("x86_64", features=frozenset(features)), None)
    assert (cpu.simd, cpu.simd_bits) == simd


@pytest.mark.parametrize(
    ("features", "sve_bytes", "simd"),
    [
        ((), None, ("NEON", 128)),
        (("neon", "sve"), None, ("SVE", None)),
        (("sve", "sve2"), 16, ("SVE2", 128)),
        (("sve",), 64, ("SVE", 512)),
    ],
)
def test_arm_vectors(features, sve_bytes, simd):
    cpu = identify_cpu(CpuReading("aarch64", features=frozenset(features), sve_bytes=sve_bytes), None)
    assert (cpu.simd, cpu.simd_bits) == simd


@pytest.mark.parametrize(
    ("product", "llvm_name", "line", "year"),
    [
        ("a1.xlarge", "cortex-a72", "AWS Graviton", 2018),
        ("m6g.large", "neoverse-n1", "AWS Graviton2", 2020),
        ("g5g.metal", "neoverse-n1", "AWS Graviton2", 2020),
        ("hpc7g.16xlarge", "neoverse-v1", "AWS Graviton3", 2022),
        ("r8gd.large", "neoverse-v2", "AWS Graviton4", 2024),
        ("p6e-gb200.36xlarge", "neoverse-v2", None, 2022),
        ("m9g.large", "neoverse-v3", None, 2024),
    ],
)
def test_amazons_processors_are_told_by_the_instance_type(product, llvm_name, line, year):
    reading = CpuReading("aarch64", vendor_id="0x41", llvm_name=llvm_name)
    cpu = identify_cpu(reading, True, "Amazon EC2", product)
    assert (cpu.generation, cpu.year) == (line, year)
    assert identify_cpu(reading, True, "Ampere", product).generation is None


@pytest.mark.parametrize(
    ("threads", "affinity", "quota", "usable"),
    [
        (8, None, None, 8),
        (8, 4, None, 4),
        (8, 8, 2.5, 2),
        (8, 8, 0.5, 1),
        (8, 2, 6.0, 2),
        (None, None, 2.0, None),
    ],
)
def test_usable_threads(threads, affinity, quota, usable):
    reading = CpuReading("x86_64", threads=threads, affinity_threads=affinity, quota_cpus=quota)
    assert identify_cpu(reading, False).usable_threads == usable


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ({"hypervisor_bit": False}, (False, None)),
        ({}, (None, None)),
        ({"hypervisor_bit": True}, (True, None)),
        ({"hypervisor_bit": True, "hypervisor_ids": ("Microsoft Hv", "KVMKVMKVM")}, (True, "KVM")),
        ({"hypervisor_bit": True, "hypervisor_ids": ("Microsoft Hv",)}, (True, "Hyper-V")),
        (
            {"hypervisor_bit": True, "hypervisor_ids": ("Microsoft Hv",), "root_partition": True},
            (False, None),
        ),
        ({"board_vendor": "QEMU"}, (True, "QEMU")),
        ({"board_vendor": "Amazon EC2", "board_product": "c7g.metal"}, (None, None)),
        ({"board_vendor": "Amazon EC2", "board_product": "c7g.large"}, (True, None)),
        ({"board_vendor": "Microsoft Corporation", "board_product": "Virtual Machine"}, (True, None)),
        ({"board_vendor": "Microsoft Corporation", "board_product": "Surface Pro"}, (None, None)),
    ],
)
def test_virtual_machines(marks, expected):
    machine = identify_machine(MachineReading("Linux", ROCKET_LAKE, **marks))
    assert (machine.virtual, machine.hypervisor) == expected


def test_features_that_are_hidden_are_mentioned_and_the_name_kept():
    cpu = identify_cpu(replace(ROCKET_LAKE, features=frozenset({"avx", "avx2"})), True)
    assert cpu.microarchitecture == "Rocket Lake"
    assert cpu.notes[0] == "Rocket Lake normally has AVX-512; here it is switched off, hidden or not fitted"


def test_multiprocessors_need_a_count_that_comes_out_even():
    gpu = GpuReading(0, "cuda", "NVIDIA H100 PCIe", (9, 0), cuda_cores=14592)
    assert identify_gpu(gpu).multiprocessors == 114
    assert identify_gpu(replace(gpu, cuda_cores=14593)).multiprocessors is None
    assert identify_gpu(replace(gpu, compute_capability=None)).multiprocessors is None
    assert identify_gpu(replace(gpu, multiprocessors=7)).multiprocessors == 7


def test_a_split_gpu_says_so():
    assert "MIG" in identify_gpu(GpuReading(0, "cuda", "NVIDIA H200", mig=True)).notes[0]


def test_amds_numbers_are_not_read_as_nvidias():
    gpu = identify_gpu(GpuReading(0, "rocm", "GeForce RTX 4090", (9, 0)))
    assert (gpu.vendor, gpu.architecture, gpu.tier, gpu.compute_capability) == ("AMD", None, None, None)
