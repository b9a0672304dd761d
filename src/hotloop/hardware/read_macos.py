"""What macOS says of the machine, through ``sysctl``."""

from __future__ import annotations

import platform
from collections.abc import Callable

from hotloop.hardware.reading import CpuReading, MachineReading

__all__ = ["Sysctl", "read_macos", "system_sysctl"]

Sysctl = Callable[[str], bytes | None]
"""Name of a value to its bytes, or None where the system does not have it."""


def read_macos(architecture: str, sysctl: Sysctl) -> MachineReading:
    """Read the values that ``sysctl`` knows; those it does not leave their fields unknown.

    Apple's processors have two kinds of core: level 0 is the faster, and the caches are those of level 0.
    """
    brand = (sysctl("machdep.cpu.brand_string") or b"").rstrip(b"\0").decode(errors="replace") or None
    two_kinds = _number(sysctl, "hw.nperflevels") == 2
    guest = _number(sysctl, "kern.hv_vmm_present")
    return MachineReading(
        operating_system=f"macOS {platform.mac_ver()[0]}".strip(),
        cpu=CpuReading(
            architecture=architecture,
            vendor_id="Apple" if brand and brand.startswith("Apple") else None,
            brand=brand,
            physical_cores=_number(sysctl, "hw.physicalcpu"),
            performance_cores=_number(sysctl, "hw.perflevel0.physicalcpu") if two_kinds else None,
            efficiency_cores=_number(sysctl, "hw.perflevel1.physicalcpu") if two_kinds else None,
            l1d_bytes=_number(sysctl, "hw.perflevel0.l1dcachesize", "hw.l1dcachesize"),
            l2_bytes=_number(sysctl, "hw.perflevel0.l2cachesize", "hw.l2cachesize"),
            l3_bytes=_number(sysctl, "hw.l3cachesize") or None,
        ),
        hypervisor_bit=None if guest is None else bool(guest),
    )


def system_sysctl(name: str) -> bytes | None:
    """Ask the running macOS."""
    import ctypes

    library = ctypes.CDLL(None)
    size = ctypes.c_size_t(0)
    if library.sysctlbyname(name.encode(), None, ctypes.byref(size), None, 0) != 0:
        return None
    buffer = ctypes.create_string_buffer(size.value)
    if library.sysctlbyname(name.encode(), buffer, ctypes.byref(size), None, 0) != 0:
        return None
    return buffer.raw[: size.value]


def _number(sysctl: Sysctl, *names: str) -> int | None:
    """Return the first of the values that exists, as a number."""
    raw = next((raw for name in names if (raw := sysctl(name)) is not None), None)
    return None if raw is None else int.from_bytes(raw, "little")
