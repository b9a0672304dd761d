"""One forward pass of a few rows before training: does the model take these rows, what comes out, what is kept.

It runs on a copy of the model, in evaluation mode and without the hooks, so that nothing a person can observe has
happened before training starts.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotloop.errors import ArgumentError

if TYPE_CHECKING:
    import torch

__all__ = ["Probe", "probe"]

_ROWS = 4


@dataclass(frozen=True, eq=False)
class Probe:
    """What a forward pass showed.

    Parameters
    ----------
    output : tensor of shape (rows, ...)
        The outputs of the first rows.
    saved_bytes_per_row : float
        Activations that the backward pass needs.
    largest_bytes_per_row : float
        The largest single activation.
    """

    output: torch.Tensor
    saved_bytes_per_row: float
    largest_bytes_per_row: float


def probe(model: torch.nn.Module, X: torch.Tensor) -> Probe | None:
    """Return what the model makes of the first rows of ``X``.

    Returns
    -------
    Probe, or None where the model cannot be copied or hooks on all modules would notice the pass

    Raises
    ------
    ArgumentError
        If the model cannot take the rows, or does not return a tensor with a row for each.
    """
    import torch

    if _hooks_on_all_modules():
        return None
    try:
        trial = copy.deepcopy(model)
    except Exception:  # whatever a foreign class raises, training itself does not need the copy
        return None
    largest = 0

    def note_size(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.nbytes)

    for module in trial.modules():
        _remove_hooks(module)
        module.register_forward_hook(note_size)
    trial.eval()
    device = next(trial.parameters()).device
    rows = X[:_ROWS].to(device)
    own = {tensor.untyped_storage().data_ptr() for tensor in [rows, *trial.parameters(), *trial.buffers()]}
    saved: dict[int, int] = {}

    def note_saved(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    try:
        with torch.autograd.graph.saved_tensors_hooks(note_saved, lambda tensor: tensor):
            output = trial(rows)
    except Exception as error:
        raise ArgumentError(
            f"the model cannot take X, whose rows have shape {tuple(X.shape[1:])} and dtype {_dtype(X)}",
            why=_first_line(error),
            do="check the first layer's input width against the columns of X",
        ) from error
    if not isinstance(output, torch.Tensor) or output.ndim == 0 or len(output) != len(rows):
        given = f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
        raise ArgumentError(f"the model must return a tensor with one row for each row of X; it returned {given}")
    return Probe(output.detach(), sum(saved.values()) / len(rows), largest / len(rows))


def _hooks_on_all_modules() -> bool:
    from torch.nn.modules import module

    return bool(module._global_forward_hooks or module._global_forward_pre_hooks)


def _remove_hooks(module: torch.nn.Module) -> None:
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        getattr(module, name).clear()


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
