"""The torch loop one would write by hand: what every engine is measured against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["HandLoop"]


@dataclass(frozen=True)
class HandLoop:
    """What a loop updates; each method returns ``loss.item()`` of each step."""

    model: torch.nn.Module
    criterion: torch.nn.Module
    optimizer: torch.optim.Optimizer

    def full_batch(self, X: torch.Tensor, y: torch.Tensor, epochs: int) -> list[float]:
        """Train on all rows at once."""
        model, criterion, optimizer, losses = self.model, self.criterion, self.optimizer, []
        for _ in range(epochs):
            loss = criterion(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    def minibatches(
        self, X: torch.Tensor, y: torch.Tensor, epochs: int, batch_size: int, order: Callable[[int], torch.Tensor]
    ) -> list[float]:
        """Train on ``batch_size`` rows at once, those of an epoch in ``order(epoch)``."""
        model, criterion, optimizer, losses = self.model, self.criterion, self.optimizer, []
        for epoch in range(epochs):
            places = order(epoch)
            for start in range(0, len(X), batch_size):
                at = places[start : start + batch_size]
                loss = criterion(model(X.index_select(0, at)), y.index_select(0, at))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        return losses
