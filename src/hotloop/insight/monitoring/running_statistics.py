"""Statistics of tensors that pass by: a few numbers of each are kept on its device, and merged in float64 now and then.

Nothing waits for a device before :meth:`taken` is called, or 256 tensors have passed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hotloop.insight.monitoring.records import ActivationStatistics, DeadUnits, GradientNorms

if TYPE_CHECKING:
    import torch

__all__ = ["RunningActivations", "RunningActivity", "RunningNorms"]

_MOST_PENDING = 256
_MOST_NAMED = 32


class RunningNorms:
    """Norms of the gradients of one parameter."""

    def __init__(self) -> None:
        self._pending: list[torch.Tensor] = []
        self._passes, self._sum, self._largest, self._last = 0, 0.0, 0.0, 0.0

    def see(self, gradient: torch.Tensor) -> None:
        """Take in a gradient."""
        import torch

        numbers = gradient.coalesce().values() if gradient.is_sparse else gradient
        self._pending.append(torch.linalg.vector_norm(numbers.detach()))
        if len(self._pending) >= _MOST_PENDING:
            self._merge()

    def taken(self) -> GradientNorms | None:
        """Return what was seen, and begin anew; None where nothing was."""
        self._merge()
        if not self._passes:
            return None
        norms = GradientNorms(self._last, self._sum / self._passes, self._largest, self._passes)
        self._passes, self._sum, self._largest = 0, 0.0, 0.0
        return norms

    def _merge(self) -> None:
        import torch

        if not self._pending:
            return
        norms = torch.stack(self._pending).double().cpu().numpy()
        self._pending = []
        self._passes += len(norms)
        self._sum += float(norms.sum())
        self._largest = float(np.maximum(self._largest, norms.max()))  # NaN stays NaN
        self._last = float(norms[-1])


class RunningActivations:
    """Mean, spread, bounds and zeros of what one module gives out."""

    def __init__(self) -> None:
        self._pending: list[tuple[int, torch.Tensor, tuple[torch.Tensor, ...]]] = []
        self._begin()

    def _begin(self) -> None:
        self._n = self._calls = 0
        self._mean = self._squares = 0.0
        self._zeros = 0
        self._least, self._largest = math.inf, -math.inf

    def see(self, output: torch.Tensor) -> None:
        """Take in a floating-point tensor that holds numbers."""
        import torch

        numbers = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
        variance, mean = torch.var_mean(numbers, correction=0)
        least, largest = torch.aminmax(numbers)
        self._pending.append((output.numel(), torch.count_nonzero(numbers), (mean, variance, least, largest)))
        if len(self._pending) >= _MOST_PENDING:
            self._merge()

    def taken(self) -> ActivationStatistics | None:
        """Return what was seen, and begin anew; None where nothing was."""
        self._merge()
        if not self._n:
            return None
        statistics = ActivationStatistics(
            mean=self._mean,
            std=math.sqrt(self._squares / self._n),
            least=self._least,
            largest=self._largest,
            zeros=self._zeros / self._n,
            calls=self._calls,
        )
        self._begin()
        return statistics

    def _merge(self) -> None:
        import torch

        if not self._pending:
            return
        sizes, nonzeros, kept = zip(*self._pending, strict=True)
        figures = torch.stack([figure for figures in kept for figure in figures]).double().reshape(len(kept), -1)
        for n, (mean, variance, least, largest) in zip(sizes, figures.tolist(), strict=True):
            self._add(n, mean, variance)
            # NaN stays NaN.
            self._least = float(np.minimum(self._least, least))
            self._largest = float(np.maximum(self._largest, largest))
        self._zeros += sum(sizes) - int(torch.stack(nonzeros).sum())
        self._calls += len(self._pending)
        self._pending = []

    def _add(self, n: int, mean: float, variance: float) -> None:
        """Merge two groups of numbers. Source: Chan, Golub, LeVeque (1983), updating formulae."""
        total, apart = self._n + n, mean - self._mean
        self._squares += variance * n + apart * apart * self._n * n / total
        self._mean += apart * n / total
        self._n = total


class RunningActivity:
    """Which units of one layer were ever active."""

    def __init__(self, channel_axis: int | None):
        self._channel_axis = channel_axis
        self._active: torch.Tensor | None = None

    def see(self, output: torch.Tensor) -> None:
        """Take in what the layer gives out."""
        axis = self._unit_axis(output)
        others = [other for other in range(output.dim()) if other != axis]
        active = output.any(dim=others) if others else output != 0
        same = self._active is not None and self._active.shape == active.shape
        self._active = active | self._active if same and self._active is not None else active

    def taken(self) -> DeadUnits | None:
        """Return what was seen, and begin anew; None where nothing was."""
        if self._active is None:
            return None
        active = self._active.cpu().numpy().reshape(-1)
        self._active = None
        dead = np.flatnonzero(~active)
        return DeadUnits(len(dead), len(active), tuple(int(unit) for unit in dead[:_MOST_NAMED]))

    def _unit_axis(self, output: torch.Tensor) -> int:
        """Return the axis of the units: features come last, channels of images and sequences second."""
        if output.dim() >= 4 or (output.dim() == 3 and self._channel_axis is not None):
            return 1
        return output.dim() - 1
