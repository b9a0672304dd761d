"""The table of processor generations: how a CPU is recognised, and what each generation can do.

x86 processors are known by CPUID's family and model (refined by stepping and brand where Intel sold several
generations under one model), Arm cores by LLVM's name, Apple's by their brand. ``year`` is when the
microarchitecture was launched; for cores that Arm licenses, when it was announced. The rest is unknown.

Sources: Intel's and AMD's public product pages and revision guides, the Linux kernel's ``intel-family.h``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ARM", "FEATURE_WORDS", "X86", "Generation"]

# Features that tell generations apart, oldest first, in LLVM's names and in words.
FEATURE_WORDS = {
    "avx": "AVX",
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512vl": "AVX-512 VL",
    "avx512vnni": "AVX-512 VNNI",
    "avx512bf16": "AVX-512 BF16",
    "avxvnni": "AVX-VNNI",
    "avx512fp16": "AVX-512 FP16",
    "amx-tile": "AMX",
    "prefetchi": "PREFETCHI",
    "avx10.1": "AVX10.1",
    "amx-fp16": "AMX-FP16",
}

_SSE: frozenset[str] = frozenset()
_AVX = _SSE | {"avx"}
_AVX2 = _AVX | {"avx2"}
_AVX_VNNI = _AVX2 | {"avxvnni"}
_AVX512 = _AVX2 | {"avx512f", "avx512vl"}
_VNNI512 = _AVX512 | {"avx512vnni"}
_BF16 = _VNNI512 | {"avx512bf16"}
_AMX = _BF16 | {"avxvnni", "avx512fp16", "amx-tile"}
_AVX10 = _AMX | {"prefetchi", "avx10.1", "amx-fp16"}
_ZEN5 = _BF16 | {"avxvnni", "prefetchi"}
# Early firmware let Alder Lake's performance cores use AVX-512 while the efficiency cores were off.
_EARLY_ALDER_LAKE = _AMX - {"amx-tile"}


@dataclass(frozen=True)
class Generation:
    """One generation of one vendor and the marks it is recognised by.

    ``features`` are those of FEATURE_WORDS that its parts normally have, ``rarely`` those some had as well;
    anything beyond both, found on such a part, is a contradiction.
    """

    vendor: str
    name: str
    line: str | None
    year: int
    features: frozenset[str] = _SSE
    family: int | None = None
    models: frozenset[int] = frozenset()
    steppings: frozenset[int] | None = None
    brand: str | None = None
    rarely: frozenset[str] = _SSE
    llvm_name: str | None = None

    def matches(self, family: int | None, model: int | None, stepping: int | None, brand: str | None) -> bool:
        """Whether CPUID's numbers and the brand string are this generation's."""
        return (
            self.family == family
            and model in self.models
            and (self.steppings is None or stepping in self.steppings)
            and (self.brand is None or re.search(self.brand, brand or "") is not None)
        )


def _intel(
    name: str,
    line: str,
    year: int,
    features: frozenset[str],
    *models: int,
    steppings: tuple[int, ...] | None = None,
    brand: str | None = None,
    rarely: frozenset[str] = _SSE,
) -> Generation:
    steps = None if steppings is None else frozenset(steppings)
    return Generation("Intel", name, line, year, features, 6, frozenset(models), steps, brand, rarely)


def _amd(name: str, line: str, year: int, features: frozenset[str], family: int, *models: int) -> Generation:
    return Generation("AMD", name, line, year, features, family, frozenset(models))


X86 = (
    _intel("Sandy Bridge", "2nd generation Core", 2011, _AVX, 0x2A),
    _intel("Sandy Bridge", "Xeon E5, 2nd generation Core", 2011, _AVX, 0x2D),
    _intel("Ivy Bridge", "3rd generation Core", 2012, _AVX, 0x3A),
    _intel("Ivy Bridge", "Xeon E5 v2 and E7 v2", 2012, _AVX, 0x3E),
    _intel("Haswell", "4th generation Core", 2013, _AVX2, 0x3C, 0x45, 0x46),
    _intel("Haswell", "Xeon E5 v3 and E7 v3", 2013, _AVX2, 0x3F),
    _intel("Broadwell", "5th generation Core", 2014, _AVX2, 0x3D, 0x47),
    _intel("Broadwell", "Xeon E5 v4, E7 v4 and D-1500", 2014, _AVX2, 0x4F, 0x56),
    _intel("Skylake", "6th generation Core", 2015, _AVX2, 0x4E, 0x5E),
    _intel("Skylake (server)", "Xeon Scalable", 2017, _AVX512, 0x55, steppings=(0, 1, 2, 3, 4)),
    _intel("Cascade Lake", "2nd generation Xeon Scalable", 2019, _VNNI512, 0x55, steppings=(5, 6, 7)),
    _intel("Cooper Lake", "3rd generation Xeon Scalable", 2020, _BF16, 0x55, steppings=(10, 11)),
    # One model number, five generations: stepping and brand tell them apart.
    _intel("Amber Lake", "8th generation Core", 2018, _AVX2, 0x8E, steppings=(9,), brand=r"-8\d{3}Y"),
    _intel("Kaby Lake", "7th generation Core", 2016, _AVX2, 0x8E, steppings=(9,), brand=r"-7\w{3,4}"),
    _intel("Kaby Lake Refresh", "8th generation Core", 2017, _AVX2, 0x8E, steppings=(10,), brand=r"-8\d\d0U"),
    _intel("Coffee Lake", "8th generation Core", 2017, _AVX2, 0x8E, steppings=(10,), brand=r"-8\d\d[79]U"),
    _intel("Whiskey Lake", "8th generation Core", 2018, _AVX2, 0x8E, steppings=(11, 12), brand=r"-8\d\d5U"),
    _intel("Comet Lake", "10th generation Core", 2019, _AVX2, 0x8E, steppings=(12,), brand=r"-10\d{3}U"),
    _intel("Kaby Lake", "7th generation Core", 2016, _AVX2, 0x9E, steppings=(9,)),
    _intel("Coffee Lake", "8th and 9th generation Core", 2017, _AVX2, 0x9E, steppings=(10, 11, 12, 13)),
    _intel("Comet Lake", "10th generation Core", 2019, _AVX2, 0xA5, 0xA6),
    _intel("Cannon Lake", "8th generation Core", 2018, _AVX512, 0x66),
    _intel("Ice Lake", "10th generation Core", 2019, _VNNI512, 0x7D, 0x7E),
    _intel("Ice Lake (server)", "3rd generation Xeon Scalable", 2021, _VNNI512, 0x6A),
    _intel("Ice Lake (server)", "Xeon D-1700 and D-2700", 2021, _VNNI512, 0x6C),
    _intel("Tiger Lake", "11th generation Core", 2020, _VNNI512, 0x8C, 0x8D),
    _intel("Rocket Lake", "11th generation Core", 2021, _VNNI512, 0xA7),
    _intel("Lakefield", "Core with Intel Hybrid Technology", 2020, _SSE, 0x8A),
    _intel("Alder Lake", "12th generation Core", 2021, _AVX_VNNI, 0x97, 0x9A, rarely=_EARLY_ALDER_LAKE),
    _intel("Alder Lake-N", "N-series, efficiency cores only", 2023, _AVX_VNNI, 0xBE),
    _intel("Raptor Lake", "13th and 14th generation Core", 2022, _AVX_VNNI, 0xB7, 0xBA, 0xBF),
    _intel("Meteor Lake", "Core Ultra 100", 2023, _AVX_VNNI, 0xAA, 0xAC),
    _intel("Lunar Lake", "Core Ultra 200V", 2024, _AVX_VNNI, 0xBD),
    _intel("Arrow Lake", "Core Ultra 200", 2024, _AVX_VNNI, 0xB5, 0xC5, 0xC6),
    _intel("Sapphire Rapids", "4th generation Xeon Scalable", 2023, _AMX, 0x8F),
    _intel("Emerald Rapids", "5th generation Xeon Scalable", 2023, _AMX, 0xCF),
    _intel("Granite Rapids", "Xeon 6 with performance cores", 2024, _AVX10, 0xAD),
    _intel("Sierra Forest", "Xeon 6 with efficiency cores", 2024, _AVX_VNNI, 0xAF),
    _intel("Knights Landing", "Xeon Phi x200", 2016, _AVX2 | {"avx512f"}, 0x57),
    _intel("Silvermont", "Atom, low power", 2013, _SSE, 0x37, 0x4D),
    _intel("Airmont", "Atom, low power", 2015, _SSE, 0x4C),
    _intel("Goldmont", "Atom, low power", 2016, _SSE, 0x5C, 0x5F),
    _intel("Goldmont Plus", "Pentium Silver and Celeron, low power", 2017, _SSE, 0x7A),
    _intel("Tremont", "Atom, Pentium and Celeron, low power", 2020, _SSE, 0x86, 0x96, 0x9C),
    # AMD
    _amd("Zen", "Ryzen 1000, EPYC 7001", 2017, _AVX2, 0x17, 0x01),
    _amd("Zen", "Ryzen 2000 and 3000 with graphics", 2017, _AVX2, 0x17, 0x11, 0x20),
    _amd("Zen+", "Ryzen 2000", 2018, _AVX2, 0x17, 0x08),
    _amd("Zen+", "Ryzen 3000 with graphics", 2018, _AVX2, 0x17, 0x18),
    _amd("Zen 2", "EPYC 7002, Threadripper 3000", 2019, _AVX2, 0x17, 0x31),
    _amd("Zen 2", "Ryzen 4000 with graphics", 2019, _AVX2, 0x17, 0x60),
    _amd("Zen 2", "Ryzen 5000 with graphics", 2019, _AVX2, 0x17, 0x68),
    _amd("Zen 2", "Ryzen 3000", 2019, _AVX2, 0x17, 0x71),
    _amd("Zen 2", "Ryzen 7020", 2019, _AVX2, 0x17, 0xA0),
    _amd("Zen 3", "EPYC 7003", 2020, _AVX2, 0x19, 0x01),
    _amd("Zen 3", "Threadripper Pro 5000", 2020, _AVX2, 0x19, 0x08),
    _amd("Zen 3", "Ryzen 5000", 2020, _AVX2, 0x19, 0x21),
    _amd("Zen 3", "Ryzen 5000 with graphics", 2020, _AVX2, 0x19, 0x50),
    _amd("Zen 3+", "Ryzen 6000 mobile", 2022, _AVX2, 0x19, 0x44),
    _amd("Zen 4", "EPYC 9004", 2022, _BF16, 0x19, 0x11),
    _amd("Zen 4", "Threadripper 7000", 2022, _BF16, 0x19, 0x18),
    _amd("Zen 4", "Ryzen 7000", 2022, _BF16, 0x19, 0x61),
    _amd("Zen 4", "Ryzen 7040 and 8040 mobile, 8000G", 2022, _BF16, 0x19, 0x74, 0x75, 0x78),
    _amd("Zen 4c", "EPYC 9704 and 8004", 2023, _BF16, 0x19, *range(0xA0, 0xB0)),
    _amd("Zen 5", "EPYC 9005, Threadripper 9000", 2024, _ZEN5, 0x1A, *range(0x10)),
    _amd("Zen 5c", "EPYC 9005, dense", 2024, _ZEN5, 0x1A, *range(0x10, 0x20)),
    _amd("Zen 5", "Ryzen AI 300", 2024, _ZEN5, 0x1A, *range(0x20, 0x30), *range(0x60, 0x70)),
    _amd("Zen 5", "Ryzen 9000", 2024, _ZEN5, 0x1A, *range(0x40, 0x50)),
    _amd("Zen 5", "Ryzen AI Max 300", 2024, _ZEN5, 0x1A, *range(0x70, 0x78)),
)

ARM = (
    Generation("Arm", "Cortex-A53", None, 2012, llvm_name="cortex-a53"),
    Generation("Arm", "Cortex-A72", None, 2015, llvm_name="cortex-a72"),
    Generation("Arm", "Cortex-A76", None, 2018, llvm_name="cortex-a76"),
    Generation("Arm", "Neoverse N1", None, 2019, llvm_name="neoverse-n1"),
    Generation("Arm", "Neoverse V1", None, 2020, llvm_name="neoverse-v1"),
    Generation("Arm", "Neoverse N2", None, 2020, llvm_name="neoverse-n2"),
    Generation("Arm", "Neoverse V2", None, 2022, llvm_name="neoverse-v2"),
    Generation("Arm", "Neoverse N3", None, 2024, llvm_name="neoverse-n3"),
    Generation("Arm", "Neoverse V3", None, 2024, llvm_name="neoverse-v3"),
    Generation("Apple", "Apple M1", None, 2020, llvm_name="apple-m1", brand=r"^Apple M1\b"),
    Generation("Apple", "Apple M2", None, 2022, llvm_name="apple-m2", brand=r"^Apple M2\b"),
    Generation("Apple", "Apple M3", None, 2023, llvm_name="apple-m3", brand=r"^Apple M3\b"),
    Generation("Apple", "Apple M4", None, 2024, llvm_name="apple-m4", brand=r"^Apple M4\b"),
    Generation("Apple", "Apple M5", None, 2025, llvm_name="apple-m5", brand=r"^Apple M5\b"),
)
