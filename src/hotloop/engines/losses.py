"""torch's built-in losses, taken apart into a sum over rows and what that sum is divided by.

A loss with ``reduction="mean"`` is ``sum(rows) / normaliser``. Taken apart, rows can be weighted, and a step too large
for memory can be done in slices whose gradients add up to those of the whole.

A new loss is one row in :data:`_KINDS`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from hotloop.capture.loss_parts import LossParts

if TYPE_CHECKING:
    import torch

__all__ = ["RowLoss"]

# By class in torch.nn and function in torch.nn.functional: "classes" divides by the (class-weighted) number of
# rows whose label counts, "elements" by the number of elements.
_KINDS: Mapping[str, str] = {
    "CrossEntropyLoss": "classes",
    "cross_entropy": "classes",
    "NLLLoss": "classes",
    "nll_loss": "classes",
    "BCEWithLogitsLoss": "elements",
    "binary_cross_entropy_with_logits": "elements",
    "BCELoss": "elements",
    "binary_cross_entropy": "elements",
    "MSELoss": "elements",
    "mse_loss": "elements",
    "L1Loss": "elements",
    "l1_loss": "elements",
    "HuberLoss": "elements",
    "huber_loss": "elements",
    "SmoothL1Loss": "elements",
    "smooth_l1_loss": "elements",
    "SoftMarginLoss": "elements",
    "soft_margin_loss": "elements",
    "PoissonNLLLoss": "elements",
    "poisson_nll_loss": "elements",
}

# What a partial of one of these functions may fix. Not the old names of ``reduction``; nor ``weight`` of mse_loss and
# its like, which changes what a mean is divided by.
_SIMPLE_SETTINGS: Mapping[str, frozenset[str]] = {
    "classes": frozenset({"reduction", "weight", "ignore_index", "label_smoothing"}),
    "elements": frozenset({"reduction", "pos_weight", "delta", "beta", "log_input", "full", "eps"}),
}


@dataclass(eq=False)
class RowLoss:
    """A built-in loss, row by row.

    Parameters
    ----------
    name : str
        As in torch.
    kind : str
        "classes" or "elements".
    reduction : str
        "mean" or "sum", as the loss given had it.
    loss : callable
        As given.
    parts : LossParts
        What was read from it.
    class_weight : tensor of shape (classes,), optional
    ignore_index : int
    """

    name: str
    kind: str
    reduction: str
    loss: Callable[..., Any]
    parts: LossParts
    class_weight: torch.Tensor | None
    ignore_index: int

    @classmethod
    def of(cls, loss: Callable[..., Any]) -> RowLoss | None:
        """Return the loss taken apart, or None if it is none of torch's built-in ones."""
        parts = LossParts.of(loss)
        kind, settings = _KINDS.get(parts.name), parts.settings
        if kind is None or parts.kind is None or parts.fixes_tensor:
            return None
        if parts.is_partial and not _SIMPLE_SETTINGS[kind].issuperset(settings):
            return None
        ignore_index = settings.get("ignore_index")
        return cls(
            name=parts.name,
            kind=kind,
            reduction=settings.get("reduction") or "mean",
            loss=loss,
            parts=parts,
            class_weight=settings.get("weight") if kind == "classes" else None,
            ignore_index=-100 if ignore_index is None else ignore_index,
        )

    @cached_property
    def each(self) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """The same loss with ``reduction="none"``."""
        import torch

        if not isinstance(self.loss, torch.nn.Module):
            return partial(self.loss, reduction="none")
        each = copy.copy(self.loss)
        each.reduction = "none"  # type: ignore[assignment]
        return each

    def total(self, output: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Return the sum of the rows' losses, each times its weight; a scalar."""
        rows = self.each(output, y)
        if weight is None:
            return rows.sum()
        return (rows.reshape(len(weight), -1).sum(dim=1) * weight).sum()

    def normaliser(self, output: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> float | torch.Tensor:
        """Return what :meth:`total` over these rows is divided by; ``output`` gives only shapes.

        A row of weight 2 counts like two rows, in every way: a row whose label is ignored, or whose class weighs
        nothing, counts as little here as it does in torch.
        """
        if self.reduction == "sum":
            return 1.0
        if self.kind == "classes" and not y.dtype.is_floating_point:
            counts = self._label_counts(y)
        else:
            per_row = output[0].numel() // (1 if self.kind == "elements" else output.shape[1])
            if weight is None:
                return per_row * len(y)
            counts = weight.new_full((len(y),), per_row)
        if weight is None:
            return counts.sum()
        whole = (counts.reshape(len(y), -1).sum(dim=1) * weight).sum()
        # A batch of rows that all weigh nothing has the loss 0, and leaves the weights alone.
        return whole.where(whole > 0, 1)

    def _label_counts(self, y: torch.Tensor) -> torch.Tensor:
        """How much each label counts: its class's weight, nothing if it is ignored; of the shape of ``y``."""
        counted = y != self.ignore_index
        if self.class_weight is None:
            return counted
        return self.class_weight[y.where(counted, 0)] * counted

    def __call__(self, output: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Return the loss over these rows: ``sum(weight * rows) / sum(weight)``."""
        return self.total(output, y, weight) / self.normaliser(output, y, weight)
