"""Modules that are no plain Sequential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotloop.capture.graph import Graph
from hotloop.capture.refusal import NotCaptured

if TYPE_CHECKING:
    import torch

__all__ = ["follow"]


def follow(
    model: torch.nn.Module, n_features: int, has_validation: bool
) -> tuple[Graph, Graph | None, tuple[torch.nn.Parameter, ...]]:
    raise NotCaptured(f"the model ({type(model).__name__})", "it is no plain Sequential of covered layers")
