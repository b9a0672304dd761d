"""CPUID decoded from written-down registers, and on this machine where it is an x86."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

import pytest

from hotloop.hardware.cpuid import compile_query, read_cpuid

INTEL = {
    (0, 0): (0x20, 0x756E6547, 0x6C65746E, 0x49656E69),
    (1, 0): (0x000906A3, 0, 0, 0),
    (4, 0): (0x121, 11 << 22 | 63, 63, 0),  # level 1 data: 12 ways, 64 sets, 64 bytes
    (4, 1): (0x122, 7 << 22 | 63, 63, 0),  # level 1 instructions
    (4, 2): (0x143, 9 << 22 | 63, 2047, 0),
    (4, 3): (0x163, 11 << 22 | 63, 32767, 0),
    (0x80000000, 0): (0x80000008, 0, 0, 0),
}


def query_of(registers):
    return lambda leaf, subleaf: registers.get((leaf, subleaf), (0, 0, 0, 0))


def with_brand(registers, brand: str):
    words = struct.unpack("<12I", brand.encode().ljust(48, b"\0"))
    leaves = {(0x80000002 + k, 0): words[4 * k : 4 * k + 4] for k in range(3)}
    return {**registers, **leaves}


def signature(text: bytes):
    return (0x40000001, *struct.unpack("<3I", text.ljust(12, b"\0")))


def read(registers):
    return read_cpuid(query_of(registers), "Linux", "x86_64")


def test_an_intel_laptop():
    reading = read(with_brand(INTEL, "  12th Gen Intel(R) Core(TM)   i7-12700H"))
    cpu = reading.cpu
    assert (cpu.vendor_id, cpu.family, cpu.model, cpu.stepping) == ("GenuineIntel", 6, 154, 3)
    assert cpu.brand == "12th Gen Intel(R) Core(TM) i7-12700H"
    assert (cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes) == (48 << 10, 1280 << 10, 24 << 20)
    assert (reading.hypervisor_bit, reading.hypervisor_ids) == (False, ())


def test_an_amd_server():
    registers = {
        (0, 0): (0x10, 0x68747541, 0x444D4163, 0x69746E65),
        (1, 0): (0x00B00F21, 0, 0, 0),
        (0x80000000, 0): (0x80000028, 0, 0, 0),
        (0x8000001D, 0): (0x121, 11 << 22 | 63, 63, 0),
        (0x8000001D, 1): (0x143, 15 << 22 | 63, 1023, 0),
    }
    cpu = read(registers).cpu
    assert (cpu.vendor_id, cpu.family, cpu.model, cpu.stepping) == ("AuthenticAMD", 0x1A, 2, 1)
    assert (cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes) == (48 << 10, 1 << 20, None)


@pytest.mark.parametrize(
    ("leaves", "ids", "root"),
    [
        ({0x40000000: signature(b"KVMKVMKVM")}, ("KVMKVMKVM",), False),
        (
            {0x40000000: signature(b"Microsoft Hv"), 0x40000100: signature(b"KVMKVMKVM")},
            ("Microsoft Hv", "KVMKVMKVM"),
            False,
        ),
        ({0x40000000: signature(b"Microsoft Hv"), 0x40000003: (0, 1, 0, 0)}, ("Microsoft Hv",), True),
        ({0x40000000: (0, 1, 0x70007, 0)}, (), False),
    ],
)
def test_hypervisors(leaves, ids, root):
    registers = {**INTEL, (1, 0): (0x000906A3, 0, 1 << 31, 0), **{(leaf, 0): r for leaf, r in leaves.items()}}
    reading = read(registers)
    assert reading.hypervisor_bit is True
    assert (reading.hypervisor_ids, reading.root_partition) == (ids, root)


def test_without_the_hypervisor_bit_its_leaves_are_not_read():
    assert read({**INTEL, (0x40000000, 0): signature(b"KVMKVMKVM")}).hypervisor_ids == ()


def test_an_old_or_unknown_processor_leaves_fields_open():
    cpu = read({(1, 0): (0x00000543, 0, 0, 0), (0x80000000, 0): (0x80000001, 0, 0, 0)}).cpu
    assert (cpu.family, cpu.model, cpu.stepping) == (5, 4, 3)
    assert (cpu.brand, cpu.l1d_bytes) == (None, None)


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="compares with Linux's reading of an x86",
)
def test_the_instruction_agrees_with_the_kernel():
    cpu = read_cpuid(compile_query(), "Linux", "x86_64").cpu
    lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    info = {key.strip(): value.strip() for key, _, value in reversed(lines)}
    assert cpu.vendor_id == info["vendor_id"]
    assert (cpu.family, cpu.model) == (int(info["cpu family"]), int(info["model"]))
    assert cpu.brand == " ".join(info["model name"].split())
