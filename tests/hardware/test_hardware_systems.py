"""Reading Linux, macOS and Windows, each from a stand-in, and this machine for real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hotloop.hardware import describe, read_machine
from hotloop.hardware.read_linux import has_nvidia_device, read_linux
from hotloop.hardware.read_macos import read_macos, system_sysctl
from hotloop.hardware.read_windows import read_windows, system_registry
from hotloop.hardware.reading import CpuReading, MachineReading


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def hybrid_linux(root: Path) -> Path:
    cpu = "sys/devices/system/cpu"
    caches = {
        "index0": ("1", "Data", "48K"),
        "index1": ("1", "Instruction", "32K"),
        "index2": ("2", "Unified", "1280K"),
        "index3": ("3", "Unified", "24M"),
    }
    files = {f"{cpu}/cpu{k}/topology/core_cpus_list": ("0-1" if k < 2 else str(k)) for k in range(6)}
    files |= {f"{cpu}/cpu{k}/cache/index3/shared_cpu_list": "0-5" for k in range(6)}
    for index, (level, kind, size) in caches.items():
        place = f"{cpu}/cpu0/cache/{index}"
        files |= {f"{place}/level": level, f"{place}/type": kind, f"{place}/size": size}
    return tree(
        root,
        files
        | {
            "proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 154\n"
            "model name\t: Some: CPU\nstepping\t: 3\nflags\t\t: fpu hypervisor\n\nprocessor\t: 1\nmodel\t: 9",
            "proc/self/cgroup": "0::/box",
            "proc/self/mountinfo": f"1 0 0:1 / {root}/cg rw - cgroup2 cgroup2 rw",
            "cg/box/cpu.max": "200000 100000",
            "cg/box/memory.max": "1073741824",
            "sys/devices/cpu_core/cpus": "0-1,2",
            "sys/devices/cpu_atom/cpus": "3-5",
            "sys/class/dmi/id/sys_vendor": "QEMU",
            "sys/class/dmi/id/product_name": "pc",
            "etc/os-release": 'NAME="x"\nPRETTY_NAME="Example Linux 1"\nID=x',
        },
    )


def test_linux_on_a_hybrid_processor(tmp_path):
    reading = read_linux("x86_64", hybrid_linux(tmp_path))
    cpu = reading.cpu
    assert (cpu.vendor_id, cpu.family, cpu.model, cpu.stepping) == ("GenuineIntel", 6, 154, 3)
    assert cpu.brand == "Some: CPU"
    assert (cpu.performance_cores, cpu.efficiency_cores) == (2, 3)
    assert (cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes, cpu.l3_caches) == (48 << 10, 1280 << 10, 24 << 20, 1)
    assert (cpu.quota_cpus, reading.memory_limit_bytes) == (2.0, 1 << 30)
    assert reading.hypervisor_bit is True
    assert (reading.board_vendor, reading.board_product) == ("QEMU", "pc")
    assert reading.operating_system.startswith("Example Linux 1 (Linux ")


def test_linux_on_arm(tmp_path):
    files = {
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41",
        "proc/sys/abi/sve_default_vector_length": "32",
    }
    reading = read_linux("aarch64", tree(tmp_path, files))
    assert (reading.cpu.vendor_id, reading.cpu.sve_bytes) == ("0x41", 32)
    assert reading.hypervisor_bit is None


def test_linux_that_hides_everything(tmp_path):
    reading = read_linux("x86_64", tmp_path)
    assert reading.operating_system.startswith("Linux ")
    cpu = reading.cpu
    assert cpu.brand is cpu.family is cpu.l1d_bytes is cpu.l3_caches is cpu.performance_cores is None
    assert reading.hypervisor_bit is reading.memory_limit_bytes is None


def test_a_cache_of_unreadable_size_is_unknown(tmp_path):
    place = "sys/devices/system/cpu/cpu0/cache/index0"
    files = {f"{place}/level": "1", f"{place}/type": "Data", f"{place}/size": "big"}
    assert read_linux("x86_64", tree(tmp_path, files)).cpu.l1d_bytes is None


def test_nvidia_devices_on_the_bus(tmp_path):
    bus = "sys/bus/pci/devices"
    assert not has_nvidia_device(tmp_path)
    tree(tmp_path, {f"{bus}/0/vendor": "0x10de", f"{bus}/0/class": "0x040300"})  # its sound device
    tree(tmp_path, {f"{bus}/1/vendor": "0x8086", f"{bus}/1/class": "0x030000"})
    assert not has_nvidia_device(tmp_path)
    tree(tmp_path, {f"{bus}/2/vendor": "0x10de", f"{bus}/2/class": "0x030200"})
    assert has_nvidia_device(tmp_path)


APPLE = {
    "machdep.cpu.brand_string": b"Apple M2\0",
    "hw.physicalcpu": (8).to_bytes(4, "little"),
    "hw.nperflevels": (2).to_bytes(4, "little"),
    "hw.perflevel0.physicalcpu": (4).to_bytes(4, "little"),
    "hw.perflevel1.physicalcpu": (4).to_bytes(4, "little"),
    "hw.perflevel0.l1dcachesize": (128 << 10).to_bytes(8, "little"),
    "hw.perflevel0.l2cachesize": (16 << 20).to_bytes(8, "little"),
    "hw.l1dcachesize": (64 << 10).to_bytes(8, "little"),
    "kern.hv_vmm_present": bytes(4),
}


def test_macos_on_apples_processor():
    reading = read_macos("arm64", APPLE.get)
    cpu = reading.cpu
    assert (cpu.vendor_id, cpu.brand, cpu.physical_cores) == ("Apple", "Apple M2", 8)
    assert (cpu.performance_cores, cpu.efficiency_cores) == (4, 4)
    assert (cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes) == (128 << 10, 16 << 20, None)
    assert reading.hypervisor_bit is False


def test_macos_on_intels_processor():
    values = {
        "hw.l1dcachesize": (32 << 10).to_bytes(8, "little"),
        "hw.l3cachesize": (6 << 20).to_bytes(8, "little"),
    }
    cpu = read_macos("x86_64", values.get).cpu
    assert (cpu.vendor_id, cpu.brand, cpu.performance_cores) == (None, None, None)
    assert (cpu.l1d_bytes, cpu.l2_bytes, cpu.l3_bytes) == (32 << 10, None, 6 << 20)


class FakeLibrary:
    """macOS's C library, as far as sysctl needs it."""

    def __init__(self, value: bytes, fail_at: int | None = None) -> None:
        self.value, self.fail_at, self.calls = value, fail_at, 0

    def sysctlbyname(self, name, buffer, size, new, new_size):
        self.calls += 1
        if self.calls == self.fail_at:
            return -1
        size._obj.value = len(self.value)
        if buffer is not None:
            buffer.raw = self.value
        return 0


@pytest.mark.parametrize(("fail_at", "answer"), [(None, b"abc\0"), (1, None), (2, None)])
def test_sysctl_asks_for_the_size_first(monkeypatch, fail_at, answer):
    monkeypatch.setattr("ctypes.CDLL", lambda name: FakeLibrary(b"abc\0", fail_at))
    assert system_sysctl("hw.model") == answer


def test_windows():
    values = {
        "ProcessorNameString": "Intel(R) Core(TM) i7  ",
        "VendorIdentifier": "GenuineIntel",
        "SystemManufacturer": "LENOVO",
        "SystemProductName": "21CB",
    }
    reading = read_windows("amd64", lambda key, name: values.get(name))
    assert (reading.cpu.brand, reading.cpu.vendor_id) == ("Intel(R) Core(TM) i7", "GenuineIntel")
    assert (reading.board_vendor, reading.board_product) == ("LENOVO", "21CB")
    assert reading.operating_system.startswith("Windows")
    assert read_windows("amd64", lambda key, name: None).cpu.brand is None


@pytest.mark.skipif(sys.platform == "win32", reason="there is a registry")
def test_elsewhere_there_is_no_registry():
    assert system_registry("HARDWARE", "x") is None


def test_windows_registry(monkeypatch):
    class Key:
        def __enter__(self):
            return "open key"

        def __exit__(self, *_):
            pass

    def value(key, name):
        if name == "missing":
            raise OSError
        return (f"{key}: {name}", 1)

    fake = SimpleNamespace(HKEY_LOCAL_MACHINE=0, OpenKey=lambda root, key: Key(), QueryValueEx=value)
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setitem(sys.modules, "winreg", fake)
    assert system_registry("HARDWARE", "name") == "open key: name"
    assert system_registry("HARDWARE", "missing") is None


def test_this_machine_is_described():
    machine = describe()
    written = json.loads(json.dumps(machine.to_json()))
    assert written["cpu"]["threads"] >= 1
    assert 1 <= written["cpu"]["usable_threads"] <= written["cpu"]["threads"]
    assert 0 < written["memory"]["available_bytes"] <= written["memory"]["total_bytes"]
    assert machine.cpu.llvm_name


@pytest.mark.parametrize(("system", "start"), [("darwin", "macOS"), ("win32", "Windows")])
def test_the_system_decides_who_is_asked(monkeypatch, system, start):
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr("hotloop.hardware.read_macos.system_sysctl", lambda name: None)
    monkeypatch.setattr("hotloop.hardware.read_windows.system_registry", lambda key, name: None)
    assert read_machine._read_system("riscv64").operating_system.startswith(start)


def test_the_processor_is_believed_before_the_system():
    itself = MachineReading("", CpuReading("x86_64", brand="EPYC", l3_bytes=1), hypervisor_bit=False)
    system = MachineReading("Linux", CpuReading("x86_64", brand="other", l2_bytes=2), True, board_vendor="QEMU")
    merged = read_machine._merge(itself, system)
    assert (merged.cpu.brand, merged.cpu.l2_bytes, merged.cpu.l3_bytes) == ("EPYC", 2, 1)
    assert (merged.operating_system, merged.hypervisor_bit, merged.board_vendor) == ("Linux", False, "QEMU")


def test_what_may_not_be_asked_is_left_open(monkeypatch):
    """A system that forbids new code, an LLVM that knows no features, a system without affinity."""

    def forbidden(*_):
        raise OSError("not permitted")

    def unknown():
        raise RuntimeError("failed to get host cpu features")

    monkeypatch.setattr("hotloop.hardware.cpuid.compile_query", forbidden)
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", unknown)
    monkeypatch.delattr("psutil.Process.cpu_affinity", raising=False)
    reading = read_machine.read_machine()
    assert reading.cpu.features == frozenset()
    assert reading.cpu.affinity_threads is None
    assert reading.cpu.threads is not None
