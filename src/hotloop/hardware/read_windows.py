"""What Windows says of the machine, through the registry; an x86 processor says the rest itself."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable

from hotloop.hardware.reading import CpuReading, MachineReading

__all__ = ["Registry", "read_windows", "system_registry"]

Registry = Callable[[str, str], str | None]
"""Key below HKEY_LOCAL_MACHINE and value name to its text, or None where there is none."""

_PROCESSOR = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
_BOARD = r"HARDWARE\DESCRIPTION\System\BIOS"


def read_windows(architecture: str, registry: Registry) -> MachineReading:
    """Read the registry's description of processor and board."""
    brand = registry(_PROCESSOR, "ProcessorNameString")
    return MachineReading(
        operating_system=f"Windows {platform.release()}".strip(),
        cpu=CpuReading(
            architecture=architecture,
            vendor_id=registry(_PROCESSOR, "VendorIdentifier"),
            brand=brand.strip() if brand else None,
        ),
        board_vendor=registry(_BOARD, "SystemManufacturer"),
        board_product=registry(_BOARD, "SystemProductName"),
    )


def system_registry(key: str, name: str) -> str | None:
    """Ask the running Windows; None on any other system."""
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
                return str(winreg.QueryValueEx(opened, name)[0])
        except OSError:
            pass
    return None
