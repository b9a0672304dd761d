"""NVML, spoken to through a stand-in."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from hotloop.hardware.read_nvidia import read_nvidia


class NvmlError(Exception):
    pass


class FakeNvml:
    """Two GPUs; what is in ``refused`` raises, as an old driver does."""

    NVMLError = NvmlError

    def __init__(self, refused=(), count=2):
        self.refused, self.count, self.open = set(refused), count, False

    def __getattribute__(self, name):
        if name.startswith("nvml") and name in self.refused:

            def refuse(*_):
                raise NvmlError("Not Supported")

            return refuse
        return super().__getattribute__(name)

    def nvmlInit(self):
        self.open = True

    def nvmlShutdown(self):
        self.open = False

    def nvmlDeviceGetCount(self):
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetName(self, device):
        return f"NVIDIA Example {device}"

    def nvmlDeviceGetMemoryInfo(self, device):
        return SimpleNamespace(total=1000, free=600 + device)

    def nvmlDeviceGetMigMode(self, device):
        return [1, 1]

    def nvmlDeviceGetCudaComputeCapability(self, device):
        return (8, 6 + device)

    def nvmlDeviceGetNumGpuCores(self, device):
        return 1280

    def nvmlSystemGetDriverVersion(self):
        return "560.94"

    def nvmlSystemGetCudaDriverVersion(self):
        return 12060


@pytest.fixture
def nvml(monkeypatch):
    def install(**arguments):
        fake = FakeNvml(**arguments)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def test_every_gpu_is_read_and_nvml_closed(nvml):
    fake = nvml()
    gpus, error = read_nvidia(lambda: True)
    assert error is None
    assert [gpu.name for gpu in gpus] == ["NVIDIA Example 0", "NVIDIA Example 1"]
    second = gpus[1]
    assert (second.index, second.kind, second.compute_capability) == (1, "cuda", (8, 7))
    assert (second.total_bytes, second.free_bytes, second.cuda_cores, second.mig) == (1000, 601, 1280, True)
    assert (second.driver_version, second.cuda_version) == ("560.94", "12.6")
    assert not fake.open


def test_what_a_driver_refuses_is_unknown(nvml):
    nvml(
        count=1,
        refused=(
            "nvmlDeviceGetMemoryInfo",
            "nvmlDeviceGetMigMode",
            "nvmlDeviceGetNumGpuCores",
            "nvmlSystemGetCudaDriverVersion",
        ),
    )
    (gpu,), _ = read_nvidia(lambda: True)
    assert gpu.name == "NVIDIA Example 0"
    assert gpu.total_bytes is gpu.free_bytes is gpu.cuda_cores is gpu.mig is gpu.cuda_version is None


def test_a_gpu_that_does_not_answer_is_listed_without_a_name(nvml):
    nvml(count=1, refused=("nvmlDeviceGetHandleByIndex",))
    (gpu,), _ = read_nvidia(lambda: True)
    assert (gpu.index, gpu.name) == (0, None)


def test_without_a_driver_there_is_nothing_to_say_unless_a_device_is_there(nvml):
    nvml(refused=("nvmlInit",))
    assert read_nvidia(lambda: False) == ((), None)
    assert read_nvidia(lambda: True) == ((), "NVIDIA driver not loaded: Not Supported")


def test_a_driver_that_counts_nothing(nvml):
    nvml(refused=("nvmlDeviceGetCount",))
    assert read_nvidia(lambda: True) == ((), None)
