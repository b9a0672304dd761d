"""An input to try a model with, guessed from its first layer where no shape is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hotloop.errors import ArgumentError
from hotloop.language import _

if TYPE_CHECKING:
    import torch

__all__ = ["example_input"]

_LENGTH = 32  # of images and sequences, where the model does not say
_MOST_NUMBERS = 1 << 28


def example_input(model: torch.nn.Module, shape: str | None, rows: int) -> torch.Tensor:
    """Return random rows that a model may take, the same each time.

    Parameters
    ----------
    model : torch.nn.Module
    shape : str, optional
        Of one row: "4" or "3,32,32". By default that of the first layer that has one.
    rows : int

    Raises
    ------
    ArgumentError
        The shape makes no sense, or cannot be guessed.
    """
    import torch

    if rows < 1:
        raise ArgumentError(_("batch is {rows}; it must be a whole number from 1 on").format(rows=rows))
    first = _first_layer(model)
    sizes = _guessed(model, first) if shape is None else _parsed(shape)
    _check_size(rows, sizes)
    parameter = next((p for p in model.parameters() if p.is_floating_point()), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    generator = torch.Generator().manual_seed(0)
    full = _arranged(first, rows, sizes)
    if isinstance(first, torch.nn.Embedding | torch.nn.EmbeddingBag):
        return torch.randint(first.num_embeddings, full, generator=generator).to(device)
    x = torch.randn(full, generator=generator)
    return x.to(device=device, dtype=parameter.dtype if parameter is not None else None)


def _parsed(shape: str) -> tuple[int, ...]:
    parts = shape.replace("x", ",").split(",")
    if all(part.strip().isascii() and part.strip().isdigit() and int(part) > 0 for part in parts):
        return tuple(int(part) for part in parts)
    raise ArgumentError(
        _("input is {shape!r}; it must be the shape of one row").format(shape=shape),
        do=_("write {one} or {other}").format(one='input="4"', other='input="3,32,32"'),
    )


def _check_size(rows: int, sizes: tuple[int, ...]) -> None:
    numbers = rows
    for size in sizes:
        numbers *= size
    if numbers > _MOST_NUMBERS:
        raise ArgumentError(_("an input of {n:,} numbers is too large to try a call with").format(n=numbers))


def _first_layer(model: torch.nn.Module) -> torch.nn.Module | None:
    """Return the first layer, in the order of registration, that says what it takes."""
    return next((module for module in model.modules() if _row_of(module)), None)


def _row_of(layer: Any) -> tuple[int, ...] | None:
    """Return the shape of one row that a layer takes; None where it does not say."""
    import torch

    nn = torch.nn
    images = ((nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3))
    for kind, axes in images:
        if isinstance(layer, kind):
            return (layer.in_channels or 1, *[_LENGTH] * axes)
    if isinstance(layer, nn.Linear | nn.Bilinear):
        width = getattr(layer, "in_features", 0) or getattr(layer, "in1_features", 0)
        return (width,) if width else None
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        return (_LENGTH,)
    if isinstance(layer, nn.RNNBase):
        return (_LENGTH, layer.input_size)
    if isinstance(layer, nn.BatchNorm1d):
        return (layer.num_features,) if layer.num_features else None
    if isinstance(layer, nn.BatchNorm2d):
        return (layer.num_features or 1, _LENGTH, _LENGTH)
    if isinstance(layer, nn.LayerNorm):
        return tuple(layer.normalized_shape)
    return (_LENGTH, layer.embed_dim) if isinstance(layer, nn.MultiheadAttention) else None


def _guessed(model: torch.nn.Module, first: torch.nn.Module | None) -> tuple[int, ...]:
    sizes = _row_of(first) if first is not None else None
    if sizes is None:
        raise ArgumentError(
            _("cannot guess what {model} takes").format(model=type(model).__name__),
            do=_("write {one} or {other}").format(one='input="4"', other='input="3,32,32"'),
        )
    return sizes


def _arranged(first: torch.nn.Module | None, rows: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the whole shape: rows come first, except where a recurrent layer wants steps first."""
    import torch

    steps_first = isinstance(first, torch.nn.RNNBase) and not first.batch_first and len(sizes) == 2
    return (sizes[0], rows, *sizes[1:]) if steps_first else (rows, *sizes)
