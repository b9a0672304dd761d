"""From a CPU's reading to its description; where two marks contradict each other, the identity is unknown."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from hotloop.hardware.description import Cpu
from hotloop.hardware.find_generation import at_least, find_generation
from hotloop.hardware.generations import FEATURE_WORDS, Generation
from hotloop.hardware.reading import CpuReading
from hotloop.sentence import Sentence, clauses

__all__ = ["identify_cpu"]

_X86 = frozenset({"x86_64", "amd64", "i386", "i686", "x86"})
_ARM = frozenset({"arm64", "aarch64"})
_VENDORS = {
    "GenuineIntel": "Intel",
    "AuthenticAMD": "AMD",
    "HygonGenuine": "Hygon",
    "CentaurHauls": "Centaur",
    "Shanghai": "Zhaoxin",
    "Apple": "Apple",
    # Arm's list of implementers (Arm Architecture Reference Manual, MIDR_EL1).
    "0x41": "Arm",
    "0x46": "Fujitsu",
    "0x48": "HiSilicon",
    "0x4e": "NVIDIA",
    "0x51": "Qualcomm",
    "0x61": "Apple",
    "0xc0": "Ampere",
}
# What decides how fast arithmetic can be; LLVM's versions differ in how they name some of the rest.
_WORTH_MISSING = frozenset({"avx", "avx2", "avx512f", "amx-tile"})
# An EC2 instance of Arm's cores whose type says so ("c7g.large") is a Graviton; its year is that of general
# availability.
_GRAVITON_TYPE = re.compile(r"^(?:a1|[a-z]+\d+g[a-z]*)\.")
_GRAVITON = {
    "cortex-a72": ("AWS Graviton", 2018),
    "neoverse-n1": ("AWS Graviton2", 2020),
    "neoverse-v1": ("AWS Graviton3", 2022),
    "neoverse-v2": ("AWS Graviton4", 2024),
}


def identify_cpu(
    reading: CpuReading,
    virtual: bool | None,
    board_vendor: str | None = None,
    board_product: str | None = None,
) -> Cpu:
    """Describe the CPU of a reading.

    Parameters
    ----------
    reading : CpuReading
    virtual : bool, optional
        Whether it is seen from inside a virtual machine, where features and cores may be hidden.
    board_vendor, board_product : str, optional
        DMI's names, which tell Amazon's Graviton from other processors of the same cores.
    """
    vendor = _VENDORS.get((reading.vendor_id or "").strip())
    found = find_generation(vendor, reading.family, reading.model, reading.stepping, reading.brand, reading.llvm_name)
    doubt = _doubt(reading, vendor, found)
    if found and board_vendor == "Amazon EC2" and _GRAVITON_TYPE.match(board_product or ""):
        found = _as_graviton(found)
    known = None if doubt else found
    simd, simd_bits = _simd(reading)
    notes = [doubt, _hidden_features(reading, known), *_notes_on_cores(reading, virtual)]
    return Cpu(
        name=reading.brand,
        vendor=vendor or (known.vendor if known else None),
        microarchitecture=known.name if known else None,
        generation=known.line if known else None,
        year=known.year if known else None,
        llvm_name=reading.llvm_name,
        physical_cores=reading.physical_cores,
        performance_cores=reading.performance_cores,
        efficiency_cores=reading.efficiency_cores,
        threads=reading.threads,
        usable_threads=_usable_threads(reading),
        quota_cpus=reading.quota_cpus,
        simd=simd,
        simd_bits=simd_bits,
        matrix_unit="AMX" if "amx-tile" in reading.features else None,
        l1d_bytes=reading.l1d_bytes,
        l2_bytes=reading.l2_bytes,
        l3_bytes=reading.l3_bytes,
        l3_caches=reading.l3_caches,
        notes=tuple(note for note in notes if note),
    )


def _doubt(reading: CpuReading, vendor: str | None, found: Generation | None) -> str | None:
    """Say why the generation cannot be named, or None where nothing speaks against ``found``."""
    seen = reading.features & FEATURE_WORDS.keys()
    numbers = Sentence("family {family} model {model}", family=reading.family, model=reading.model)
    if reading.family is None or reading.model is None:
        return None if found else Sentence("no generation known for {cpu}", cpu=_named_by_llvm(reading))
    if found is None:
        unknown = Sentence(
            "{numbers} stepping {stepping} is not in the table of generations",
            numbers=numbers,
            stepping=reading.stepping,
        )
        return clauses(unknown, *_bound(vendor, seen))
    surplus = seen - found.features - found.rarely
    if not surplus:
        return None
    contradiction = Sentence(
        "the CPU names itself {name} ({numbers}) but has {features}, which {name} lacks",
        name=found.name,
        numbers=numbers,
        features=_in_words(surplus),
    )
    return clauses(contradiction, *_bound(vendor, seen))


def _named_by_llvm(reading: CpuReading) -> str:
    if not reading.llvm_name:
        return Sentence("this CPU")
    return Sentence("the name LLVM gives it, {name!r}", name=reading.llvm_name)


def _bound(vendor: str | None, seen: frozenset[str]) -> list[str]:
    least = at_least(vendor, seen) if seen else None
    if least is None:
        return []
    return [Sentence("its features are at least those of {name} ({year})", name=least.name, year=least.year)]


def _in_words(features: frozenset[str]) -> str:
    """Name the three newest of the features."""
    words = [word for feature, word in FEATURE_WORDS.items() if feature in features][-3:]
    if len(words) == 1:
        return words[0]
    return Sentence("{listed} and {last}", listed=", ".join(words[:-1]), last=words[-1])


def _as_graviton(found: Generation) -> Generation:
    line, year = _GRAVITON.get(found.llvm_name or "", (found.line, found.year))
    return replace(found, line=line, year=year)


def _hidden_features(reading: CpuReading, known: Generation | None) -> str | None:
    if known is None or not reading.features:
        return None
    missing = (known.features & _WORTH_MISSING) - reading.features
    if not missing:
        return None
    return Sentence(
        "{name} normally has {features}; here it is switched off, hidden or not fitted",
        name=known.name,
        features=_in_words(missing),
    )


def _notes_on_cores(reading: CpuReading, virtual: bool | None) -> list[str]:
    notes: list[str] = []
    if virtual:
        notes.append(
            Sentence("a virtual machine sees the cores its host shows it: a core here may be one thread of a real core")
        )
    if reading.quota_cpus is not None:
        notes.append(Sentence("a container limit allows the work of {cpus:g} CPUs", cpus=reading.quota_cpus))
    return notes


def _usable_threads(reading: CpuReading) -> int | None:
    """Affinity, cut down to the whole CPUs of the quota but never below one."""
    threads = reading.threads if reading.affinity_threads is None else reading.affinity_threads
    if threads is None or reading.quota_cpus is None:
        return threads
    return max(1, min(threads, math.floor(reading.quota_cpus)))


def _simd(reading: CpuReading) -> tuple[str | None, int | None]:
    """Return the widest vector instruction set and its width in bits."""
    if reading.architecture in _X86:
        return _x86_simd(reading.features)
    if reading.architecture not in _ARM:
        return None, None
    # A 64-bit Arm processor always has NEON, also where the features cannot be read.
    if "sve" not in reading.features:
        return "NEON", 128
    name = "SVE2" if "sve2" in reading.features else "SVE"
    return name, None if reading.sve_bytes is None else 8 * reading.sve_bytes


def _x86_simd(features: frozenset[str]) -> tuple[str | None, int | None]:
    ladder = (
        ("avx512f", "AVX-512", 512),
        ("avx2", "AVX2", 256),
        ("avx", "AVX", 256),
        ("sse4.2", "SSE4.2", 128),
        ("sse2", "SSE2", 128),
    )
    return next(((name, bits) for feature, name, bits in ladder if feature in features), (None, None))
