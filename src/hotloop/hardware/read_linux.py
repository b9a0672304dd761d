"""What Linux says of the machine, through ``/proc`` and ``/sys``."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from hotloop.hardware.cgroup import cpu_quota, group_directories, memory_limit_bytes
from hotloop.hardware.reading import CpuReading, MachineReading

__all__ = ["has_nvidia_device", "read_linux"]

_CACHE_UNITS = {"K": 1 << 10, "M": 1 << 20, "": 1}
_NVIDIA_ID = "0x10de"
_DISPLAY_CLASS = "0x03"


def read_linux(architecture: str, root: Path = Path("/")) -> MachineReading:
    """Read the files below ``root``; those that are missing leave their fields unknown."""
    cpus = root / "sys/devices/system/cpu"
    info = _first_processor(root / "proc/cpuinfo")
    directories = group_directories(root / "proc/self")
    performance, efficiency = (
        _core_count(cpus, root / f"sys/devices/{kind}/cpus") for kind in ("cpu_core", "cpu_atom")
    )
    flags = info.get("flags", "").split()
    return MachineReading(
        operating_system=_operating_system(root),
        cpu=CpuReading(
            architecture=architecture,
            vendor_id=info.get("vendor_id") or info.get("CPU implementer"),
            family=_number(info.get("cpu family")),
            model=_number(info.get("model")),
            stepping=_number(info.get("stepping")),
            brand=info.get("model name"),
            sve_bytes=_number(_read(root / "proc/sys/abi/sve_default_vector_length")),
            performance_cores=performance,
            efficiency_cores=efficiency,
            quota_cpus=cpu_quota(directories),
            l1d_bytes=_cache_bytes(cpus, 1),
            l2_bytes=_cache_bytes(cpus, 2),
            l3_bytes=_cache_bytes(cpus, 3),
            l3_caches=_l3_count(cpus),
        ),
        hypervisor_bit="hypervisor" in flags if flags else None,
        board_vendor=_read(root / "sys/class/dmi/id/sys_vendor"),
        board_product=_read(root / "sys/class/dmi/id/product_name"),
        memory_limit_bytes=memory_limit_bytes(directories),
    )


def has_nvidia_device(root: Path = Path("/")) -> bool:
    """Whether a display controller made by NVIDIA sits on the PCI bus, driver or not."""
    devices = (root / "sys/bus/pci/devices").glob("*")
    return any(
        _read(device / "vendor") == _NVIDIA_ID and (_read(device / "class") or "").startswith(_DISPLAY_CLASS)
        for device in devices
    )


def _operating_system(root: Path) -> str:
    pretty = re.search(r'^PRETTY_NAME="?([^"\n]*)', _read(root / "etc/os-release") or "", re.MULTILINE)
    kernel = f"Linux {platform.release()}"
    return f"{pretty[1]} ({kernel})" if pretty else kernel


def _first_processor(path: Path) -> dict[str, str]:
    first = (_read(path) or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _core_count(cpus: Path, members: Path) -> int | None:
    """Count the cores, not threads, among the CPUs of a list such as ``0-7,16``."""
    listed = _read(members)
    if not listed:
        return None
    siblings = {_read(cpus / f"cpu{cpu}/topology/core_cpus_list") or str(cpu) for cpu in _expand(listed)}
    return len(siblings)


def _expand(listed: str) -> list[int]:
    ranges = (part.partition("-") for part in listed.split(","))
    return [cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)]


def _cache_bytes(cpus: Path, level: int) -> int | None:
    for index in (cpus / "cpu0/cache").glob("index*"):
        if _read(index / "level") == str(level) and _read(index / "type") in ("Data", "Unified"):
            size = re.fullmatch(r"(\d+)([KM]?)", _read(index / "size") or "")
            return int(size[1]) * _CACHE_UNITS[size[2]] if size else None
    return None


def _l3_count(cpus: Path) -> int | None:
    shared = {_read(path) for path in cpus.glob("cpu[0-9]*/cache/index3/shared_cpu_list")}
    return len(shared) or None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _read(path: Path) -> str | None:
    """Return the file's text without surrounding blanks, or None where it is missing, closed or empty."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None
