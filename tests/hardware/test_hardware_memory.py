"""Free memory of the machine and of accelerators, and which accelerator there is."""

from __future__ import annotations

import time
from types import SimpleNamespace

import psutil
import pytest
import torch

from hotloop.hardware import available_accelerator, free_memory, free_memory_bytes


@pytest.fixture
def available(monkeypatch):
    def set_to(size_bytes):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=size_bytes))

    return set_to


@pytest.mark.parametrize(("left", "expected"), [(None, 1000), (400, 400), (5000, 1000), (0, 0)])
def test_main_memory_is_bounded_by_the_container(available, monkeypatch, left, expected):
    available(1000)
    monkeypatch.setattr(free_memory, "memory_left_bytes", lambda groups: left)
    assert free_memory_bytes() == expected


@pytest.mark.timing
def test_main_memory_is_read_quickly():
    free_memory_bytes("cpu")
    start_s = time.perf_counter()
    for _ in range(20):
        free_memory_bytes("cpu")
    assert (time.perf_counter() - start_s) / 20 < 0.005


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_accelerators_with_memory_of_their_own(monkeypatch, kind):
    backend = getattr(torch, kind)
    monkeypatch.setattr(backend, "device_count", lambda: 2)
    monkeypatch.setattr(backend, "mem_get_info", lambda device: (70 if device == f"{kind}:1" else 0, 100))
    assert free_memory_bytes(f"{kind}:1") == 70
    assert free_memory_bytes(kind) == 0
    assert free_memory_bytes(f"{kind}:2") is None
    assert free_memory_bytes(f"{kind}:x") is None


@pytest.mark.parametrize(("taken", "expected"), [(10, 60), (40, 40), (100, 0)])
def test_apples_gpu_shares_the_main_memory(available, monkeypatch, taken, expected):
    available(60)
    monkeypatch.setattr(free_memory, "memory_left_bytes", lambda groups: None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 80)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: taken)
    assert free_memory_bytes("mps") == expected


def test_devices_that_are_not_there_have_no_memory(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert free_memory_bytes("mps") is None
    assert free_memory_bytes("tpu") is None


@pytest.mark.parametrize(("found", "expected"), [("cuda", "cuda"), ("mps", "mps"), ("xpu", "xpu"), ("mtia", None)])
def test_the_accelerator_torch_offers(monkeypatch, found, expected):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: SimpleNamespace(type=found))
    assert available_accelerator() == expected


def test_no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert available_accelerator() is None
