"""A forward pass of a few rows before training: does the model take these rows, what comes out, what is kept.

A second one, where the model drops units, weighs what that keeps. They run on a copy of the model, in evaluation mode
and without the hooks, so that nothing a person can observe has happened before training starts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hotloop.engines.dropout import DropoutMasks
from hotloop.engines.torch_state import generators, restore_generators
from hotloop.errors import ArgumentError

if TYPE_CHECKING:
    import torch

__all__ = ["Probe", "check_single_row", "probe"]

_ROWS = 4


@dataclass(frozen=True, eq=False)
class Probe:
    """What a forward pass showed.

    Parameters
    ----------
    output : tensor of shape (rows, ...)
        The outputs of the first rows.
    saved_bytes_per_row : float
        Activations and dropout masks that the model's backward pass needs.
    largest_bytes_per_row : float
        The largest single activation.
    mask_units_per_row : float
        Units of the largest dropout mask.
    """

    output: torch.Tensor
    saved_bytes_per_row: float
    largest_bytes_per_row: float
    mask_units_per_row: float = 0.0

    @property
    def output_bytes_per_row(self) -> float:
        """Memory of the output."""
        return self.output.nbytes / len(self.output)


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
    from torch.nn.modules.dropout import _DropoutNd

    if _hooks_on_all_modules():
        return None
    trial = _copy_without_hooks(model)
    if trial is None:
        return None
    dropping = [module for module in trial.modules() if isinstance(module, _DropoutNd) and module.training]
    trial.eval()
    device = next(trial.parameters()).device
    rows = X[:_ROWS].to(device)
    try:
        with _generators_restored(device):
            output, saved, largest, mask_units = _weigh(trial, rows)
            for module in dropping:
                module.train()
            if dropping:
                with DropoutMasks(trial, seed=0):
                    _, saved, largest, mask_units = _weigh(trial, rows)
    except Exception as error:
        raise ArgumentError(
            f"the model cannot take X, whose rows have shape {tuple(X.shape[1:])} and dtype {_dtype(X)}",
            why=_first_line(error),
            do="check the first layer's input width against the columns of X",
        ) from error
    if not isinstance(output, torch.Tensor) or output.ndim == 0 or len(output) != len(rows):
        given = f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__
        raise ArgumentError(f"the model must return a tensor with one row for each row of X; it returned {given}")
    return Probe(output.detach(), saved / len(rows), largest / len(rows), mask_units / len(rows))


def _weigh(trial: torch.nn.Module, rows: torch.Tensor) -> tuple[Any, int, int, int]:
    """Return a pass's output, the bytes that autograd keeps, the largest activation's, and the largest mask's units."""
    import torch

    largest = mask_units = 0
    own = {tensor.untyped_storage().data_ptr() for tensor in [rows, *trial.parameters(), *trial.buffers()]}
    saved: dict[int, torch.UntypedStorage] = {}

    def note_size(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        nonlocal largest, mask_units
        if isinstance(output, torch.Tensor):
            largest = max(largest, output.nbytes)
            if type(module) is torch.nn.Dropout and module.training and module.p > 0:
                mask_units = max(mask_units, output.numel())

    def note_saved(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # Kept until the end, so that no later tensor is given the same address.
            saved[storage.data_ptr()] = storage
        return tensor

    # Scripted modules take no hooks.
    watched = [module for module in trial.modules() if not isinstance(module, torch.jit.ScriptModule)]
    hooks = [module.register_forward_hook(note_size) for module in watched]
    with torch.autograd.graph.saved_tensors_hooks(note_saved, lambda tensor: tensor):
        output = trial(rows)
    for hook in hooks:
        hook.remove()
    return output, sum(storage.nbytes() for storage in saved.values()), largest, mask_units


def check_single_row(model: torch.nn.Module, X: torch.Tensor) -> None:
    """Raise if a model with batch statistics cannot train on one row at a time.

    Raises
    ------
    ArgumentError
        Naming the layer.
    """
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    norms = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm) and module.training]
    trial = _copy_without_hooks(model) if norms and not _hooks_on_all_modules() else None
    if trial is None:
        return
    device = next(trial.parameters()).device
    try:
        with _generators_restored(device), torch.no_grad():
            trial(X[:1].to(device))
    except ValueError as error:
        raise ArgumentError(
            f"the last batch of an epoch has one row, and '{norms[0]}' needs several to normalise over",
            why=_first_line(error),
            do="use drop_last=True, or another batch_size",
        ) from error


@contextmanager
def _generators_restored(device: torch.device) -> Iterator[None]:
    states = generators(str(device))
    try:
        yield
    finally:
        restore_generators(states)


def _hooks_on_all_modules() -> bool:
    from torch.nn.modules import module

    return bool(module._global_forward_hooks or module._global_forward_pre_hooks)


def _copy_without_hooks(model: torch.nn.Module) -> torch.nn.Module | None:
    try:
        trial = copy.deepcopy(model)
    except Exception:  # whatever a foreign class raises, training itself does not need the copy
        return None
    for module in trial.modules():
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
            getattr(module, name).clear()
    return trial


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
