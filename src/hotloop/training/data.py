"""What ``fit`` is given as ``X`` and ``y`` -> tensors of the dtype and shape that model and loss take.

Conversions are said once, in the run's notes; nothing is ever broadcast or guessed into shape.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hotloop.capture.loss_parts import loss_name
from hotloop.capture.model_parts import ModelParts
from hotloop.engines.finite import all_finite
from hotloop.engines.losses import RowLoss
from hotloop.engines.probe import Probe
from hotloop.engines.task import Rows
from hotloop.errors import ArgumentError

if TYPE_CHECKING:
    import torch

__all__ = ["check_labels", "features", "row_weights", "targets", "try_loss"]

_Loss = Callable[..., Any]
_SMALL_TABLE = 100_000


def features(X: Any, model: ModelParts, name: str = "X") -> tuple[torch.Tensor, list[str]]:
    """Return the features as a tensor and sentences about what was converted.

    Parameters
    ----------
    X : array, tensor or frame of shape (rows, ...)
    model : ModelParts
        Floating-point features take the dtype of its parameters; integers stay what they are where it has an
        embedding to look them up in.

    Raises
    ------
    ArgumentError
        If X is empty, holds text, NaN or infinity, or has no rows axis.
    """
    import torch

    given = _tensor(X, name)
    if given.ndim < 1 or not given.numel():
        raise ArgumentError(f"{name} is empty: its shape is {tuple(given.shape)}", do="give at least one row")
    if not given.dtype.is_floating_point and _looks_numbers_up(model):
        return given.to(torch.int64), []
    dtype = model.dtype
    converted = _checked(given, dtype, name)
    if given.dtype == dtype:
        return converted, []
    return converted, [f"{name} was converted from {_name(given.dtype)} to {_name(dtype)}, like the model's parameters"]


def targets(
    y: Any, n_rows: int, loss: _Loss, row_loss: RowLoss | None, model: ModelParts, name: str = "y"
) -> tuple[torch.Tensor, list[str]]:
    """Return the targets as a tensor of the dtype that the loss takes, and sentences about what was converted.

    Class labels become int64; everything else takes the dtype of the model's parameters. ``row_loss`` is the loss taken
    apart, where it can be.

    Raises
    ------
    ArgumentError
        If y has another number of rows than X, holds text, NaN or infinity, or numbers where labels must stand.
    """
    import torch

    given = _tensor(y, name)
    if given.ndim < 1 or given.shape[0] != n_rows:
        rows = len(given) if given.ndim else 0
        raise ArgumentError(f"{name} has {rows} rows and X has {n_rows}", do="give one target for each row")
    kind = row_loss.kind if row_loss else "classes" if not given.dtype.is_floating_point else "elements"
    dtype = model.dtype
    if kind == "classes" and not given.dtype.is_floating_point:
        dtype = torch.int64
    elif kind == "classes" and given.ndim == 1:
        if not bool((given == given.round()).all()):
            raise ArgumentError(
                f"{name} holds numbers like {_first_fraction(given)}, but {loss_name(loss)} takes class labels",
                do="use MSELoss for numbers, or whole numbers 0, 1, 2, ... for classes",
            )
        dtype = torch.int64
    converted = _checked(given, dtype, name)
    if given.dtype == dtype:
        return converted, []
    return converted, [
        f"{name} was converted from {_name(given.dtype)} to {_name(dtype)}, as {loss_name(loss)} takes it"
    ]


def row_weights(
    sample_weight: Any, n_rows: int, loss: _Loss, row_loss: RowLoss | None, dtype: torch.dtype
) -> torch.Tensor | None:
    """Return the weights of the rows as a tensor of shape (rows,), or None.

    Raises
    ------
    ArgumentError
        If they are not one number from 0 on for each row, all are 0, or the loss cannot be weighted.
    """
    if sample_weight is None:
        return None
    if row_loss is None:
        raise ArgumentError(
            f"sample_weight cannot be used with the loss '{loss_name(loss)}'",
            why="only torch's built-in losses can be taken apart into rows",
            do="weight the rows inside your loss",
        )
    weight = _tensor(sample_weight, "sample_weight")
    if tuple(weight.shape) != (n_rows,):
        raise ArgumentError(f"sample_weight has shape {tuple(weight.shape)}; it must be ({n_rows},), one number a row")
    converted = _checked(weight, dtype, "sample_weight")
    if bool((converted < 0).any()) or not bool((converted > 0).any()):
        raise ArgumentError("sample_weight must be 0 or more for each row, and above 0 for some")
    return converted


def check_labels(of: Rows, row_loss: RowLoss | None, per_row: tuple[int, ...] | None, name: str = "y") -> None:
    """Raise if targets do not fit the model's output: another shape, or labels that it has no output for.

    Raises
    ------
    ArgumentError
        Saying what the output and the targets are.
    """
    if row_loss is None or per_row is None:
        return
    y, rows = of.y, tuple(of.y.shape[1:])
    if row_loss.kind == "elements" or y.dtype.is_floating_point:
        if rows != per_row:
            column = per_row == (1,) and not rows
            raise ArgumentError(
                f"{name} has shape {_shape(rows)} and the model's output {_shape(per_row)}",
                why=f"{row_loss.name} compares them element by element",
                do=f"{name}.reshape(-1, 1) makes a column of {name}" if column else "make them agree",
            )
        _check_range(y, row_loss, name)
        return
    if not per_row or rows != per_row[1:]:
        raise ArgumentError(
            f"{name} has shape {_shape(rows)} and the model's output {_shape(per_row)}",
            why=f"{row_loss.name} takes one number for each class, and labels of shape {_shape(per_row[1:])}",
        )
    if y.is_cpu and y.numel() and of.has_labels_below(per_row[0]):
        return
    low, high = of.label_range or (0, 0)
    if not 0 <= row_loss.ignore_index < per_row[0] and (low == row_loss.ignore_index or high == row_loss.ignore_index):
        low, high = Rows(of.X, y[y != row_loss.ignore_index]).label_range or (0, 0)
    if low < 0 or high >= per_row[0]:
        raise ArgumentError(
            f"{name} holds labels from {low} to {high}",
            why=f"the model has {per_row[0]} outputs, for labels 0 to {per_row[0] - 1}",
        )


def try_loss(loss: _Loss, probe: Probe | None, y: torch.Tensor) -> None:
    """Compute the loss of the first rows once, so that what does not fit shows before training.

    Raises
    ------
    ArgumentError
        If the loss fails, or does not return one number.
    """
    import torch

    if probe is None:
        return
    output = probe.output.clone().requires_grad_(probe.output.is_floating_point())
    try:
        value = _without_hooks(loss)(output, y[: len(output)].to(output.device))
    except Exception as error:
        raise ArgumentError(
            f"the loss '{loss_name(loss)}' cannot take the model's output of shape {tuple(probe.output.shape)} "
            f"with y of shape {tuple(y[: len(probe.output)].shape)}",
            why=(str(error) or type(error).__name__).splitlines()[0],
        ) from error
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        raise ArgumentError(
            f"the loss '{loss_name(loss)}' must return one number",
            do='use reduction="mean" or reduction="sum"',
        )
    if output.requires_grad and not value.requires_grad:
        raise ArgumentError(
            f"the loss '{loss_name(loss)}' has no gradient with respect to the model's output",
            do="compute it with torch from the output, without detach(), numpy() or argmax()",
        )


def _without_hooks(loss: _Loss) -> _Loss:
    """Return a copy of a loss module that nobody watches, or the loss itself where it is a function."""
    import torch

    if not isinstance(loss, torch.nn.Module):
        return loss
    try:
        silent = copy.deepcopy(loss)
    except Exception:  # whatever a foreign class raises: then it is the loss itself that is tried
        return loss
    silent._forward_hooks.clear()
    silent._forward_pre_hooks.clear()
    return silent


def _tensor(value: Any, name: str) -> torch.Tensor:
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout is not torch.strided or value.is_complex():
            raise ArgumentError(
                f"{name} is a {_name(value.dtype)} tensor of layout {value.layout}",
                do="give dense real numbers",
            )
        # What callbacks do to the tensor given, such as giving it other memory, is not done to the rows.
        return value.detach().resolve_neg()
    array = _array(value, name)
    if array.dtype.kind not in "fiub":
        raise ArgumentError(
            f"{name} holds {_kind(array)}, not numbers",
            do="turn a table with text or dates into numbers with hotloop.tables, or use hotloop train",
        )
    if array.dtype.itemsize > 8 or (array.dtype.kind == "u" and array.dtype.itemsize > 1):
        too_large = array.dtype.itemsize == 8 and bool((array > np.iinfo(np.int64).max).any())
        with np.errstate(over="ignore"):
            array = array.astype(np.float64 if array.dtype.kind == "f" or too_large else np.int64)
    # from_numpy shares memory; it warns of read-only arrays, and takes neither odd strides nor foreign byte orders.
    if array.flags.writeable:
        try:
            return torch.from_numpy(array)
        except ValueError:
            pass
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=True, order="C"))


def _array(value: Any, name: str) -> np.ndarray[Any, Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise ArgumentError(f"{name} is a masked array", do="fill or drop the masked values first")
    if isinstance(value, np.ndarray):
        return value
    import narwhals as nw

    frame = nw.from_native(value, pass_through=True, eager_only=True, allow_series=True)
    try:
        return frame.to_numpy() if isinstance(frame, (nw.DataFrame, nw.Series)) else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{name} is not an array of numbers", why=str(error).splitlines()[0]) from None


def _kind(array: np.ndarray[Any, Any]) -> str:
    if array.dtype.kind in "US":
        return "text"
    return "text, missing or mixed values" if array.dtype.kind == "O" else str(array.dtype)


def _checked(given: torch.Tensor, dtype: torch.dtype, name: str) -> torch.Tensor:
    """Return a tensor in another dtype; raise where it then holds NaN or infinity."""
    converted = given if given.dtype is dtype else given.to(dtype)
    if not dtype.is_floating_point or _is_finite(converted):
        return converted
    at = tuple(int(i) for i in (~converted.isfinite()).nonzero()[0])
    where = f"row {at[0]}" + (f", column {at[1]}" if len(at) > 1 else "")
    value = float(given[at])
    what = "NaN (not a number)" if value != value else "infinity" if abs(value) == float("inf") else f"{value:g}"
    raise ArgumentError(
        f"{name} holds {what} at {where}",
        why=None if value != value or abs(value) == float("inf") else f"that is too large for {_name(converted.dtype)}",
        do="drop such rows or fill such values before training",
    )


def _is_finite(tensor: torch.Tensor) -> bool:
    # NumPy has no bfloat16, but is sooner done with a small table.
    if tensor.is_cpu and tensor.dtype.itemsize >= 4 and tensor.numel() < _SMALL_TABLE:
        return all_finite(tensor.numpy())
    # A sum needs no memory, and is finite if all numbers are, unless they are very large.
    return math.isfinite(float(tensor.sum())) or bool(tensor.isfinite().all())


def _check_range(y: torch.Tensor, row_loss: RowLoss, name: str) -> None:
    if row_loss.name in (
        "BCEWithLogitsLoss",
        "BCELoss",
        "binary_cross_entropy_with_logits",
        "binary_cross_entropy",
    ):
        low, high = float(y.min()), float(y.max())
        if low < 0 or high > 1:
            raise ArgumentError(f"{name} lies between {low:g} and {high:g}; {row_loss.name} takes targets from 0 to 1")


def _looks_numbers_up(model: ModelParts) -> bool:
    import torch

    return any(isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)) for module in model.modules)


def _first_fraction(y: torch.Tensor) -> str:
    return f"{float(y[y != y.round()][0]):g}"


def _shape(of_a_row: tuple[int, ...]) -> str:
    return f"({', '.join(['rows', *map(str, of_a_row)])})"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
