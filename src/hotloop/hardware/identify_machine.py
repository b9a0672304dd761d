"""From a machine's reading to its description: is it virtual, and what are its parts."""

from __future__ import annotations

from hotloop.hardware.description import Machine, Memory
from hotloop.hardware.identify_cpu import identify_cpu
from hotloop.hardware.identify_gpu import identify_gpu
from hotloop.hardware.reading import MachineReading
from hotloop.sentence import Sentence

__all__ = ["identify_machine"]

# CPUID leaf 0x40000000, in the order in which to believe them: KVM and Xen also imitate Hyper-V.
_HYPERVISORS = {
    "KVMKVMKVM": "KVM",
    "XenVMMXenVMM": "Xen",
    "VMwareVMware": "VMware",
    "VBoxVBoxVBox": "VirtualBox",
    "TCGTCGTCGTCG": "QEMU",
    "bhyve bhyve": "bhyve",
    "ACRNACRNACRN": "ACRN",
    "prl hyperv": "Parallels",
    "lrpepyh vr": "Parallels",
    "Microsoft Hv": "Hyper-V",
}
# DMI's vendor names of machines that exist only as virtual ones.
_VIRTUAL_BOARDS = {"QEMU": "QEMU", "VMware, Inc.": "VMware", "innotek GmbH": "VirtualBox", "Xen": "Xen"}


def identify_machine(reading: MachineReading) -> Machine:
    """Describe the machine of a reading."""
    virtual, hypervisor = _virtualisation(reading)
    return Machine(
        operating_system=reading.operating_system,
        virtual=virtual,
        hypervisor=hypervisor,
        cpu=identify_cpu(reading.cpu, virtual, reading.board_vendor, reading.board_product),
        memory=Memory(reading.memory_total_bytes, reading.memory_available_bytes, reading.memory_limit_bytes),
        gpus=tuple(identify_gpu(gpu) for gpu in reading.gpus),
        gpu_status=reading.gpu_error or (None if reading.gpus else Sentence("no NVIDIA GPU found")),
    )


def _virtualisation(reading: MachineReading) -> tuple[bool | None, str | None]:
    """Return whether the machine is virtual, and under which hypervisor; None where nothing tells."""
    named = [_HYPERVISORS[found] for found in _HYPERVISORS if found in reading.hypervisor_ids]
    if named == ["Hyper-V"] and reading.root_partition:
        return False, None
    board = _VIRTUAL_BOARDS.get(reading.board_vendor or "")
    if reading.hypervisor_bit or named or board or _is_cloud_guest(reading):
        return True, named[0] if named else board
    return reading.hypervisor_bit, None


def _is_cloud_guest(reading: MachineReading) -> bool:
    """Whether DMI names a cloud's virtual machine; Amazon's bare ones are called ``*.metal``."""
    if reading.board_vendor == "Amazon EC2":
        return reading.board_product is not None and ".metal" not in reading.board_product
    return (reading.board_vendor, reading.board_product) == ("Microsoft Corporation", "Virtual Machine")
