"""Which accelerator torch can use here."""

from __future__ import annotations

__all__ = ["available_accelerator"]

_SUPPORTED = ("cuda", "mps", "xpu")


def available_accelerator() -> str | None:
    """Return torch's type of the accelerator that is here: ``"cuda"``, ``"mps"``, ``"xpu"`` or None.

    AMD's GPUs answer to ``"cuda"`` as well. Imports torch.
    """
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found is not None and found.type in _SUPPORTED else None
