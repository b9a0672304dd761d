"""The operations of a training step in torch, each with its backward pass, to be timed by their sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from hotloop.insight.forecasting.work import LOSSES, OPTIMIZERS
from hotloop.insight.machines.passport import TABLES
from hotloop.insight.machines.size_table import SizeTable

__all__ = ["Grid", "operation", "timed_tables"]

_TINY = 4
_CLASS_OF = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU",
    "elu": "ELU",
    "gelu": "GELU",
    "silu": "SiLU",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softplus": "Softplus",
}


@dataclass(frozen=True)
class Grid:
    """Which sizes are measured.

    Parameters
    ----------
    rows, widths : tuple of int
    elements : tuple of int
        Of elementwise functions and of an optimizer's tensor.
    outputs : tuple of int
        Of losses.
    most_products : float
        Multiply-adds beyond which a linear layer is not measured but concluded from fewer rows.
    activations : tuple of str
        Those measured; the others are taken to be like the last of these.
    """

    rows: tuple[int, ...] = (16, 128, 1024, 4096)
    widths: tuple[int, ...] = (4, 16, 64, 256, 512)
    elements: tuple[int, ...] = (1 << 12, 1 << 16, 1 << 20)
    outputs: tuple[int, ...] = (2, 16, 128)
    most_products: float = 4e7
    activations: tuple[str, ...] = tuple(_CLASS_OF)

    def axes(self, name: str) -> tuple[tuple[int, ...], ...]:
        """Return the axes of a table by its name."""
        kind = name.split()[0]
        if kind == "loss":
            return self.rows, self.outputs
        if kind == "gather":
            return self.rows, self.widths
        return (self.elements,) if TABLES[name] == 1 else (self.rows, self.widths, self.widths)


def timed_tables(
    torch: Any, device: str, grid: Grid, us: Callable[[Callable[[], object]], float], *, with_issuing: bool
) -> dict[str, SizeTable]:
    """Return what each kind of operation takes by its sizes.

    Parameters
    ----------
    torch : module
    device : str
    grid : Grid
    us : callable
        Microseconds of a piece of work.
    with_issuing : bool
        Whether the time is all of it, or what goes beyond the smallest of its kind.
    """
    whole: dict[str, SizeTable] = {}
    issuing_us: dict[str, float] = {}
    for name in TABLES:
        kind, _, which = name.partition(" ")
        if kind != "activation" or which in grid.activations:
            axes = grid.axes(name)
            tiny_us = us(operation(torch, device, name, *[_TINY] * len(axes)))
            whole[name] = SizeTable(axes, tuple(_times(torch, device, name, axes, grid, us)))
            # What the smallest takes is issuing; where another took less, chance had a hand in the smallest.
            issuing_us[name] = 0.0 if with_issuing else min(tiny_us, *whole[name].us)
    # Issuing an activation is one cost for all of them: what one takes more than the quickest is its own.
    activations = [name for name in whole if name.startswith("activation")]
    issuing_us |= dict.fromkeys(activations, min(issuing_us[name] for name in activations))
    tables = {name: table.less(issuing_us[name]) for name, table in whole.items()}
    return {name: tables.get(name, tables[f"activation {grid.activations[-1]}"]) for name in TABLES}


def _times(
    torch: Any, device: str, name: str, axes: tuple[tuple[int, ...], ...], grid: Grid, us: Callable[..., float]
) -> Iterator[float]:
    """Yield the times over a table's grid; what is too much to measure is concluded from fewer rows."""
    known: dict[tuple[int, ...], float] = {}
    for sizes in product(*axes):
        fewer = (axes[0][max(axes[0].index(sizes[0]) - 1, 0)], *sizes[1:])
        found = None
        if fewer == sizes or len(sizes) < 3 or math.prod(map(float, sizes)) <= grid.most_products:
            found = _time_if_there_is_memory(torch, device, name, sizes, us)
        if found is None:
            found = known[fewer] * sizes[0] / fewer[0]
        known[sizes] = found
        yield found


def _time_if_there_is_memory(
    torch: Any, device: str, name: str, sizes: tuple[int, ...], us: Callable[..., float]
) -> float | None:
    try:
        return us(operation(torch, device, name, *sizes))
    except torch.OutOfMemoryError:
        return None


def operation(torch: Any, device: str, name: str, *sizes: int) -> Callable[[], object]:
    """Return a piece of work: an operation of a table, forward and backward, on numbers of no interest."""
    kind, _, which = name.partition(" ")
    if kind in ("first", "linear"):
        return _linear(torch, device, *sizes, is_first=kind == "first")
    return _MAKERS[kind](torch, device, which, *sizes)


def _linear(torch: Any, device: str, rows: int, n_in: int, n_out: int, *, is_first: bool) -> Callable[[], object]:
    x = torch.ones(rows, n_in, device=device, requires_grad=not is_first)
    weight = torch.ones(n_out, n_in, device=device, requires_grad=True)
    bias = torch.ones(n_out, device=device, requires_grad=True)
    gradient = torch.ones(rows, n_out, device=device)
    wanted = (weight, bias) if is_first else (x, weight, bias)
    return lambda: torch.autograd.grad(torch.nn.functional.linear(x, weight, bias), wanted, gradient)


def _activation(torch: Any, device: str, which: str, elements: int) -> Callable[[], object]:
    x = torch.randn(elements, device=device, requires_grad=True)
    gradient = torch.ones(elements, device=device)
    function = getattr(torch.nn, _CLASS_OF[which])()
    return lambda: torch.autograd.grad(function(x), x, gradient)


def _loss(torch: Any, device: str, which: str, rows: int, outputs: int) -> Callable[[], object]:
    output = torch.randn(rows, outputs, device=device, requires_grad=True)
    target = torch.rand(rows, outputs, device=device)
    if which == "ce":
        target = target.argmax(1)
    function = getattr(torch.nn, LOSSES[which])()
    return lambda: torch.autograd.grad(function(output, target), output)


def _optimizer(torch: Any, device: str, which: str, elements: int) -> Callable[[], object]:
    parameter = torch.nn.Parameter(torch.ones(elements, device=device))
    parameter.grad = torch.ones(elements, device=device)
    optimizer = getattr(torch.optim, OPTIMIZERS[which])([parameter], lr=1e-6)
    return optimizer.step  # type: ignore[no-any-return]


def _gather(torch: Any, device: str, which: str, rows: int, features: int) -> Callable[[], object]:
    table = torch.ones(4 * rows, features, device=device)
    order = torch.randperm(4 * rows, device=device)[:rows]
    return lambda: table.index_select(0, order)


_MAKERS: dict[str, Callable[..., Callable[[], object]]] = {
    "activation": _activation,
    "loss": _loss,
    "optimizer": _optimizer,
    "gather": _gather,
}
