"""Between torch's objects and ours: models, losses and optimizers become programs, layer specs become modules.

Each name is imported when it is first used: layer specs need a small part of it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotloop.capture.network import capture_network
    from hotloop.capture.optimizers import CapturedGroup, read_slots, write_slots
    from hotloop.capture.program import Captured, capture
    from hotloop.capture.refusal import NotCaptured
    from hotloop.capture.sequential import arrays_of, from_module, to_module

__all__ = [
    "Captured",
    "CapturedGroup",
    "NotCaptured",
    "arrays_of",
    "capture",
    "capture_network",
    "from_module",
    "read_slots",
    "to_module",
    "write_slots",
]

_HOMES = {
    "Captured": "program",
    "CapturedGroup": "optimizers",
    "NotCaptured": "refusal",
    "arrays_of": "sequential",
    "capture": "program",
    "capture_network": "network",
    "from_module": "sequential",
    "read_slots": "optimizers",
    "to_module": "sequential",
    "write_slots": "optimizers",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'hotloop.capture' has no attribute {name!r}")
    return getattr(importlib.import_module(f"hotloop.capture.{_HOMES[name]}"), name)
