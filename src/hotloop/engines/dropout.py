"""Dropout whose masks are a function of (seed, step): the same in every engine, after a resume and among threads.

While steps are done, each ``nn.Dropout`` of the model gets a ``forward`` that draws its mask from
``program.random.keep_mask`` instead of torch's global generator. Hooks still run, since ``__call__`` does.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from hotloop.program.random import keep_mask

if TYPE_CHECKING:
    import torch

__all__ = ["DropoutMasks"]


class DropoutMasks:
    """The masks of one model: its dropout layers draw them inside ``with masks:``, after ``start_step``.

    Outside the block the layers are as they were, so that a callback can copy or save the model.
    """

    def __init__(self, model: torch.nn.Module, seed: int):
        import torch

        self._seed = seed
        self._step = self._call = self._first_row = 0
        self._layers = [
            # A layer whose forward someone replaced already is no plain dropout any more.
            module
            for module in model.modules()
            if type(module) is torch.nn.Dropout and "forward" not in vars(module)
        ]

    def __enter__(self) -> None:
        for layer in self._layers:
            # An attribute of the instance hides the method of the class; deleting it brings the method back.
            layer.forward = self._forward_of(layer)  # type: ignore[method-assign]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for layer in self._layers:
            del layer.forward

    def start_step(self, step: int, first_row: int = 0) -> None:
        """Say which step the next forward pass belongs to, and at which row of its batch it starts."""
        self._step, self._first_row, self._call = step, first_row, 0

    def _forward_of(self, layer: torch.nn.Dropout):  # type: ignore[no-untyped-def]
        import torch

        def forward(x: torch.Tensor) -> torch.Tensor:
            call, self._call = self._call, self._call + 1
            if not layer.training or layer.p == 0 or not x.numel():
                return x
            n_rows = len(x)
            keep = keep_mask(
                self._seed, self._step, call, n_rows, x.numel() // n_rows, layer.p, first_row=self._first_row
            )
            # p = 1 drops everything; there is nothing to scale up.
            scale = 1 / (1 - layer.p) if layer.p < 1 else 0.0
            mask = torch.from_numpy(keep).to(x.device).reshape(x.shape).to(x.dtype) * scale
            return x.mul_(mask) if layer.inplace else x * mask

        return forward
