"""Which accelerator torch can use here."""

from __future__ import annotations

import sys
from pathlib import Path

from hotloop.hardware.read_nvidia import count_nvidia

__all__ = ["available_accelerator", "may_have_accelerator"]

_SUPPORTED = ("cuda", "mps", "xpu")


def available_accelerator() -> str | None:
    """Return torch's type of the accelerator that is here: ``"cuda"``, ``"mps"``, ``"xpu"`` or None.

    AMD's GPUs answer to ``"cuda"`` as well. Imports torch.
    """
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found is not None and found.type in _SUPPORTED else None


def may_have_accelerator() -> bool:
    """Whether torch could find an accelerator here: if not, torch need not be asked. Imports no torch.

    NVIDIA's driver knows its GPUs; all Macs that hotloop runs on have one; AMD's and Intel's need a torch of their own.
    """
    if sys.platform == "darwin":
        return True
    kind = _torch_variant()
    if kind == "cpu":
        return False
    return count_nvidia() > 0 or kind.startswith("xpu") or (kind.startswith("rocm") and Path("/dev/kfd").exists())


def _torch_variant() -> str:
    """Return what follows the + in torch's version, such as "cpu", "cu128" or "rocm6.4"; empty on PyPI's own."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("torch").partition("+")[2]
    except PackageNotFoundError:
        return ""
