"""What a training step has to do, in plain numbers: what forecasts are made from. No torch, no LLVM."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hotloop.program.network import Activation, Linear, Network

if TYPE_CHECKING:
    from hotloop.engines.layers_task import LayersTask
    from hotloop.engines.task import Task
    from hotloop.program.program import Program

__all__ = ["LOSSES", "OPTIMIZERS", "Work", "work_of_layers", "work_of_task"]

LOSSES: Mapping[str, str] = {"ce": "CrossEntropyLoss", "mse": "MSELoss", "bce": "BCEWithLogitsLoss"}
"""Kinds of losses whose cost is measured -> classes in ``torch.nn``; others count as the nearest."""

OPTIMIZERS: Mapping[str, str] = {"sgd": "SGD", "adam": "Adam"}
"""Kinds of optimizers whose cost is measured -> classes in ``torch.optim``."""

# Operations of a program that stand for an activation where the model is no sequence of layers.
_ACTIVATION_OF_OP = {
    "max": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "erf": "gelu",
    "expm1": "elu",
    "softplus": "softplus",
}


@dataclass(frozen=True)
class Work:
    """One training step.

    Parameters
    ----------
    linears : tuple of (int, int)
        Inputs and outputs of each linear layer.
    activations : tuple of (str, int)
        Name in ``program.network.ACTIVATIONS``, and features, of each elementwise function.
    loss : str
        A key of :data:`LOSSES`.
    optimizer : str
        A key of :data:`OPTIMIZERS`.
    batch_rows : int
        Rows of a step.
    gathers : bool
        Whether each step picks its rows from all, in an order of its own.
    captured : Program, optional
        The step as a program, where it is not that of the layers one after the other.
    refusal : str, optional
        Why the native engine does not take it.
    """

    linears: tuple[tuple[int, int], ...]
    activations: tuple[tuple[str, int], ...]
    loss: str
    optimizer: str
    batch_rows: int
    gathers: bool = False
    captured: Program | None = None
    refusal: str | None = None

    @classmethod
    def of_network(cls, network: Network, loss: str, optimizer: str, batch_rows: int, *, gathers: bool = False) -> Work:
        """Return the work of training a layer spec."""
        linears, activations, width = [], [], network.n_inputs
        for layer in network.layers:
            if isinstance(layer, Linear):
                linears.append((layer.n_in, layer.n_out))
                width = layer.n_out
            elif layer.name != "identity":
                activations.append((layer.name, width))
        return cls(tuple(linears), tuple(activations), loss, optimizer, batch_rows, gathers)

    @property
    def n_inputs(self) -> int:
        """Features of a row."""
        return self.linears[0][0] if self.linears else 1

    @property
    def n_outputs(self) -> int:
        """Outputs for a row."""
        return self.linears[-1][1] if self.linears else 1

    @property
    def n_weights(self) -> int:
        """Numbers that are trained, biases with them."""
        return sum(n_in * n_out + n_out for n_in, n_out in self.linears)

    @property
    def flop(self) -> float:
        """Floating point operations of the step's matrix products: forward, and two gradients but for the first."""
        return sum(
            (4.0 if first else 6.0) * self.batch_rows * n_in * n_out
            for first, (n_in, n_out) in zip([True, *[False] * len(self.linears)], self.linears, strict=False)
        )

    @property
    def hidden_width(self) -> float | None:
        """Geometric mean of the hidden layers' widths; None without a hidden layer."""
        widths = [n_out for _, n_out in self.linears[:-1]]
        return math.exp(sum(map(math.log, widths)) / len(widths)) if widths else None

    def of_size(self, batch_rows: int, width: int) -> Work:
        """Return the same kind of network with all hidden layers of one width, on so many rows a step."""
        last = len(self.linears) - 1
        linears = tuple(
            (n_in if place == 0 else width, n_out if place == last else width)
            for place, (n_in, n_out) in enumerate(self.linears)
        )
        activations = tuple((name, width) for name, _ in self.activations)
        return replace(self, linears=linears, activations=activations, batch_rows=batch_rows, captured=None)

    @cached_property
    def program(self) -> Program:
        """The step as a program, without the parts that nothing needs."""
        from hotloop.compiler.eliminate import eliminate
        from hotloop.compiler.fold import fold

        return eliminate(fold(eliminate(self.captured or _written(self))))


def work_of_layers(task: LayersTask) -> Work:
    """Return the work of a step of a layer spec."""
    loss = "ce" if task.output == "classification" else "mse"
    return Work.of_network(
        task.network, loss, task.rule.name, min(task.batch_size, len(task.training)), gathers=task.shuffle
    )


def work_of_task(task: Task) -> Work | None:
    """Return the work of a step of a torch model, or None where it can be followed neither by layers nor by capture."""
    from hotloop.capture.loss_parts import loss_name
    from hotloop.capture.sequential import from_module
    from hotloop.engines.native import NativeEngine

    # What an engine finds out of a task for the CPU does not hold for another device.
    on_cpu = task if task.device == "cpu" else replace(task, device="cpu", findings={})
    refused = NativeEngine().refusal(on_cpu)
    found = on_cpu.findings.get("native")
    program = getattr(found, "program", None)
    kinds: Any = {
        "loss": next((kind for kind, name in LOSSES.items() if name == loss_name(task.loss)), "mse"),
        "optimizer": "sgd" if type(task.optimizer).__name__ == "SGD" else "adam",
        "batch_rows": min(task.batch_size, len(task.training)),
        "gathers": task.shuffle,
    }
    refusal = None if refused is None else f"{refused.what}, since {refused.why}"
    network = from_module(task.model)
    if network is not None:
        return replace(Work.of_network(network, **kinds), captured=program, refusal=refusal)
    if program is None:
        return None
    linears, activations = _parts(program)
    return Work(linears, activations, captured=program, refusal=refusal, **kinds)


def _parts(program: Program) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[str, int], ...]]:
    """Return the linear layers and elementwise functions of a program's forward half."""
    linears, activations = [], []
    for operation in _forward(program):
        if operation.op == "contract":
            n_in = program.step.types[operation.operands[1]].axis(operation["over"]).size or 1
            linears.append((n_in, operation.type.n_features))
        elif operation.op in _ACTIVATION_OF_OP:
            activations.append((_ACTIVATION_OF_OP[operation.op], operation.type.n_features))
    return tuple(linears), tuple(activations)


def _forward(program: Program) -> Iterator[Any]:
    loss = program.step.output("loss")
    for operation in program.step.operations:
        if operation.type.has_rows:
            yield operation
        if operation.name == loss:
            return


def _written(work: Work) -> Program:
    """Write the program of layers that follow each other."""
    from hotloop.capture.losses import LossRule
    from hotloop.capture.network import graph_of
    from hotloop.capture.recipe import Recipe, write_program
    from hotloop.program.optimizers import Adam, Sgd

    graph = graph_of(_network(work))
    rule = Sgd() if work.optimizer == "sgd" else Adam()
    recipe = Recipe(
        element="f32",
        graph=graph,
        evaluation=None,
        loss=LossRule(LOSSES[work.loss]),
        target="labels" if work.loss == "ce" else "numbers",
        has_row_weight=False,
        updates=((rule.canonical, tuple(range(len(graph.shapes)))),),
        max_norm=None,
    )
    return write_program(recipe)


def _network(work: Work) -> Network:
    """Return layers with the activations between them, as far as they fit."""
    layers: list[Linear | Activation] = []
    left = list(work.activations)
    for n_in, n_out in work.linears:
        layers.append(Linear(n_in, n_out))
        if left and left[0][1] == n_out and len(layers) < 2 * len(work.linears):
            layers.append(Activation(left.pop(0)[0]))
    return Network(work.n_inputs, tuple(layers))
