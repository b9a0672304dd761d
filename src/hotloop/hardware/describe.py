"""Describe this machine: read it, then draw the conclusions."""

from __future__ import annotations

from hotloop.hardware.description import Machine

__all__ = ["describe"]


def describe() -> Machine:
    """Return what this machine is; about 0.1 s, no torch."""
    from hotloop.hardware.identify_machine import identify_machine
    from hotloop.hardware.read_machine import read_machine

    return identify_machine(read_machine())
