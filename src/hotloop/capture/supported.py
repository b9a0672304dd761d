"""What capture covers: the tables that reading goes by, and that ``hotloop layers`` prints. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hotloop.sentence import Sentence

__all__ = [
    "ACTIVATIONS",
    "FUNCTIONS",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "Activation",
    "Function",
    "Layer",
    "Loss",
    "Optimizer",
]


@dataclass(frozen=True)
class Layer:
    """A class of ``torch.nn`` that is no activation; ``note`` says under which conditions."""

    module: str
    note: str = ""


@dataclass(frozen=True)
class Activation:
    """An elementwise function.

    Parameters
    ----------
    module : str
        In ``torch.nn``.
    program : str
        In ``program.activations.ACTIVATIONS``.
    defaults : mapping
        Settings by their names in module, functions and program alike, in the order the functions take them.
    functions : tuple of str
        The same as functions and methods of torch; those that end in ``_`` work in place.
    """

    module: str
    program: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    functions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """What may stand in ``forward`` besides layers and activations.

    Parameters
    ----------
    kind : str
        What it does: a name in ``functions.HANDLERS``.
    names : tuple of str
        Of functions and methods of torch.
    note : str
        As people write it.
    """

    kind: str
    names: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Loss:
    """A class of ``torch.nn``, the same in ``torch.nn.functional``, and the settings that are covered."""

    module: str
    function: str
    defaults: Mapping[str, Any]


@dataclass(frozen=True)
class Optimizer:
    """A class of ``torch.optim`` and the settings of a group that the rule takes."""

    name: str
    settings: tuple[str, ...]


LAYERS: tuple[Layer, ...] = (
    Layer("Sequential", "nested or not"),
    Layer("Linear", Sentence("with bias or without")),
    Layer("Identity"),
    Layer("Flatten", Sentence("of rows that are flat")),
    Layer("Dropout", Sentence("p=0, or in eval mode")),
)


def _activation(module: str, program: str, defaults: Mapping[str, Any], in_torch: str, methods: str = "") -> Activation:
    functions = [f"torch.nn.functional.{name}" for name in in_torch.split()]
    for name in methods.split():
        functions += [f"torch.{name}", f"torch.Tensor.{name}"]
    return Activation(module, program, defaults, tuple(functions))


ACTIVATIONS: tuple[Activation, ...] = (
    _activation("ReLU", "relu", {}, "relu relu_", "relu relu_"),
    _activation("LeakyReLU", "leaky_relu", {"negative_slope": 0.01}, "leaky_relu leaky_relu_"),
    _activation("ELU", "elu", {"alpha": 1.0}, "elu elu_"),
    _activation("GELU", "gelu", {"approximate": "none"}, "gelu"),
    _activation("SiLU", "silu", {}, "silu"),
    _activation("Tanh", "tanh", {}, "tanh", "tanh tanh_"),
    _activation("Sigmoid", "sigmoid", {}, "sigmoid", "sigmoid sigmoid_"),
    _activation("Softplus", "softplus", {"beta": 1.0, "threshold": 20.0}, "softplus"),
)

FUNCTIONS: tuple[Function, ...] = (
    Function("linear", ("torch.nn.functional.linear",), "F.linear"),
    Function("matmul", ("torch.matmul", "torch.mm", "torch.Tensor.matmul", "torch.Tensor.mm"), "x @ parameter"),
    Function("add", ("torch.add", "torch.Tensor.add", "torch.Tensor.add_"), "+"),
    Function("sub", ("torch.sub", "torch.subtract", "torch.Tensor.sub", "torch.Tensor.sub_"), "-"),
    Function("mul", ("torch.mul", "torch.multiply", "torch.Tensor.mul", "torch.Tensor.mul_"), "*"),
    Function("div", ("torch.div", "torch.true_divide", "torch.Tensor.div", "torch.Tensor.div_"), "/"),
    Function("neg", ("torch.neg", "torch.negative", "torch.Tensor.neg"), "-x"),
    Function("cat", ("torch.cat", "torch.concat", "torch.concatenate"), Sentence("torch.cat of columns")),
    Function("flatten", ("torch.flatten", "torch.Tensor.flatten"), "flatten"),
    Function("view", ("torch.Tensor.view", "torch.Tensor.reshape"), "view"),
    Function("size", ("torch.Tensor.size",), "size"),
    Function("dim", ("torch.Tensor.dim",), "dim"),
    Function("clone", ("torch.clone", "torch.Tensor.clone"), "clone"),
    Function("dropout", ("torch.nn.functional.dropout",), "F.dropout"),
)

LOSSES: tuple[Loss, ...] = (
    Loss(
        "CrossEntropyLoss",
        "cross_entropy",
        {"reduction": "mean", "weight": None, "ignore_index": -100, "label_smoothing": 0.0},
    ),
    Loss("BCEWithLogitsLoss", "binary_cross_entropy_with_logits", {"reduction": "mean", "pos_weight": None}),
    Loss("MSELoss", "mse_loss", {"reduction": "mean"}),
    Loss("L1Loss", "l1_loss", {"reduction": "mean"}),
    Loss("HuberLoss", "huber_loss", {"reduction": "mean", "delta": 1.0}),
    Loss("SmoothL1Loss", "smooth_l1_loss", {"reduction": "mean", "beta": 1.0}),
)

OPTIMIZERS: tuple[Optimizer, ...] = (
    Optimizer("SGD", ("momentum", "dampening", "weight_decay", "nesterov", "maximize")),
    Optimizer("Adam", ("betas", "eps", "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay")),
    Optimizer("AdamW", ("betas", "eps", "weight_decay", "amsgrad", "maximize")),
)
