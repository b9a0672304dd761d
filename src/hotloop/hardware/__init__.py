"""What machine this is: CPU, GPU and memory, described and measured."""

from __future__ import annotations

from hotloop.hardware.accelerator import available_accelerator, may_have_accelerator
from hotloop.hardware.describe import describe
from hotloop.hardware.description import Cpu, Gpu, Machine, Measured, Memory
from hotloop.hardware.free_memory import free_memory_bytes
from hotloop.hardware.measure import measure

__all__ = [
    "Cpu",
    "Gpu",
    "Machine",
    "Measured",
    "Memory",
    "available_accelerator",
    "describe",
    "free_memory_bytes",
    "may_have_accelerator",
    "measure",
]
