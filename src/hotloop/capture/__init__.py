"""Between torch's objects and ours: models, losses and optimizers become programs, layer specs become modules."""

from hotloop.capture.network import capture_network
from hotloop.capture.optimizers import CapturedGroup, read_slots, write_slots
from hotloop.capture.program import Captured, capture
from hotloop.capture.refusal import NotCaptured
from hotloop.capture.sequential import from_module, to_module

__all__ = [
    "Captured",
    "CapturedGroup",
    "NotCaptured",
    "capture",
    "capture_network",
    "from_module",
    "read_slots",
    "to_module",
    "write_slots",
]
