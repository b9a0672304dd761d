"""Ask an x86 processor itself: the CPUID instruction, run from a few bytes of code that LLVM compiles.

It answers alike under Linux, macOS and Windows, and it alone names the hypervisor. Sources: Intel Software
Developer's Manual volume 2A (CPUID), AMD64 Architecture Programmer's Manual volume 3 (appendix E), Microsoft
Hypervisor Top Level Functional Specification (leaves 0x40000000 to 0x40000003).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from hotloop.hardware.reading import CpuReading, MachineReading

__all__ = ["Query", "compile_query", "read_cpuid"]

Query = Callable[[int, int], tuple[int, int, int, int]]
"""Leaf and subleaf to the registers EAX, EBX, ECX and EDX."""

_SOURCE = """
define void @cpuid(i32 %leaf, i32 %subleaf, ptr %registers) {
  %answer = call {i32, i32, i32, i32} asm sideeffect "cpuid",
      "={ax},={bx},={cx},={dx},{ax},{cx},~{dirflag},~{fpsr},~{flags}"(i32 %leaf, i32 %subleaf)
  store {i32, i32, i32, i32} %answer, ptr %registers
  ret void
}
"""
_HYPERVISOR_BIT = 1 << 31
_CREATE_PARTITIONS = 1
_CACHE_LEAVES = {"GenuineIntel": 4, "AuthenticAMD": 0x8000001D}


def compile_query() -> Query:
    """Compile the CPUID instruction into a function; takes about 5 ms.

    Raises
    ------
    RuntimeError
        If LLVM cannot compile for this machine.
    OSError
        If the system forbids new executable code.
    """
    import ctypes

    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=0)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_SOURCE), machine)
    engine.finalize_object()
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)
    function = prototype(engine.get_function_address("cpuid"))

    def query(leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        assert engine is not None  # the code lives as long as its engine
        registers = (ctypes.c_uint32 * 4)()
        function(leaf, subleaf, registers)
        return registers[0], registers[1], registers[2], registers[3]

    return query


def read_cpuid(query: Query, operating_system: str, architecture: str) -> MachineReading:
    """Read what CPUID tells of processor, caches and hypervisor."""
    eax, _, ecx, _ = query(1, 0)
    family, model, stepping = _signature(eax)
    vendor_id = _text(*(query(0, 0)[register] for register in (1, 3, 2)))
    l1d, l2, l3 = _caches(query, vendor_id)
    hypervisor_ids = _hypervisor_ids(query) if ecx & _HYPERVISOR_BIT else ()
    return MachineReading(
        operating_system=operating_system,
        cpu=CpuReading(
            architecture=architecture,
            vendor_id=vendor_id,
            family=family,
            model=model,
            stepping=stepping,
            brand=_brand(query),
            l1d_bytes=l1d,
            l2_bytes=l2,
            l3_bytes=l3,
        ),
        hypervisor_bit=bool(ecx & _HYPERVISOR_BIT),
        hypervisor_ids=hypervisor_ids,
        root_partition="Microsoft Hv" in hypervisor_ids and bool(query(0x40000003, 0)[1] & _CREATE_PARTITIONS),
    )


def _signature(eax: int) -> tuple[int, int, int]:
    """Return display family, display model and stepping."""
    family, model, stepping = eax >> 8 & 0xF, eax >> 4 & 0xF, eax & 0xF
    if family in (0x6, 0xF):
        model += (eax >> 16 & 0xF) << 4
    if family == 0xF:
        family += eax >> 20 & 0xFF
    return family, model, stepping


def _brand(query: Query) -> str | None:
    if query(0x80000000, 0)[0] < 0x80000004:
        return None
    registers = [register for leaf in range(0x80000002, 0x80000005) for register in query(leaf, 0)]
    return _text(*registers) or None


def _hypervisor_ids(query: Query) -> tuple[str, ...]:
    """Read the signatures at 0x40000000 and one 0x100 further, where KVM moves when it imitates Hyper-V."""
    texts = [_text(*query(leaf, 0)[1:]) for leaf in (0x40000000, 0x40000100)]
    return tuple(text for text in texts if len(text) >= 9 and text.isprintable())


def _caches(query: Query, vendor_id: str) -> tuple[int | None, int | None, int | None]:
    """Return the sizes in bytes of the data or unified caches of levels 1, 2 and 3."""
    leaf = _CACHE_LEAVES.get(vendor_id)
    if leaf is None or query(leaf & 0x80000000, 0)[0] < leaf:
        return None, None, None
    sizes: dict[int, int] = {}
    for subleaf in range(8):
        eax, ebx, ecx, _ = query(leaf, subleaf)
        kind, level = eax & 0x1F, eax >> 5 & 7
        if kind == 0:
            break
        if kind in (1, 3):
            sizes[level] = ((ebx >> 22) + 1) * ((ebx >> 12 & 0x3FF) + 1) * ((ebx & 0xFFF) + 1) * (ecx + 1)
    return sizes.get(1), sizes.get(2), sizes.get(3)


def _text(*registers: int) -> str:
    raw = struct.pack(f"<{len(registers)}I", *registers)
    return " ".join(raw.split(b"\0")[0].decode("latin-1").split())
