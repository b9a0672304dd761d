"""The layer spec: what network to train, without torch.

``hotloop train`` builds a :class:`Network`, initialises it, and saves it as ``network.json``; ``capture/`` turns it
into an ``nn.Module`` and back. Parameters are named as ``torch.nn.Sequential`` names them ("0.weight", "2.bias").
A new activation is one row in :data:`ACTIVATIONS` and one in ``capture/supported.py``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import ArgumentError, SavedRunError, nearest
from hotloop.program.random import uniforms_of_torch

__all__ = ["ACTIVATIONS", "Activation", "Layer", "Linear", "Network"]

FloatArray = NDArray[Any]

_WIDEST = 1 << 24


def _sigmoid(x: FloatArray) -> FloatArray:
    # exp of a non-positive number only: no overflow on either side.
    small = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + small), small / (1 + small)), dtype=x.dtype)


def _gelu(x: FloatArray) -> FloatArray:
    erf = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2))
    return np.asarray(0.5 * x * (1 + erf), dtype=x.dtype)


ACTIVATIONS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x >= 0, x, x * x.dtype.type(0.01)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": _gelu,
    "silu": lambda x: x * _sigmoid(x),
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "identity": lambda x: x,
}
"""Name -> meaning of each activation, with torch's default settings; shape and dtype are kept."""


@dataclass(frozen=True)
class Linear:
    """``y = x @ weight.T + bias``; weight (n_out, n_in), bias (n_out,)."""

    n_in: int
    n_out: int

    def to_json(self) -> dict[str, object]:
        """Return this layer as it stands in ``network.json``."""
        return {"layer": "linear", "n_in": self.n_in, "n_out": self.n_out}


@dataclass(frozen=True)
class Activation:
    """An elementwise function, by its name in :data:`ACTIVATIONS`."""

    name: str

    def to_json(self) -> dict[str, object]:
        """Return this layer as it stands in ``network.json``."""
        return {"layer": self.name}


Layer = Linear | Activation


@dataclass(frozen=True)
class Network:
    """Layers applied one after the other.

    Parameters
    ----------
    n_inputs : int
        Features of a row.
    layers : tuple of Linear or Activation
        At least one; consecutive widths must agree.

    Raises
    ------
    ArgumentError
        If a width is not positive, two layers do not fit, or an activation is unknown.
    """

    n_inputs: int
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ArgumentError("a network needs at least one layer")
        if self.n_inputs < 1 and not isinstance(self.layers[0], Linear):
            raise ArgumentError("a network needs at least 1 input")
        width = self.n_inputs
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Activation):
                if layer.name not in ACTIVATIONS:
                    raise ArgumentError(
                        f"unknown activation '{layer.name}'.{nearest(layer.name, ACTIVATIONS)}",
                        do="use one of " + ", ".join(ACTIVATIONS),
                    )
                continue
            if layer.n_in != width:
                raise ArgumentError(f"layer {index} takes {layer.n_in} inputs, but the one before gives {width}")
            width = layer.n_out
            if not (1 <= layer.n_in <= _WIDEST and 1 <= layer.n_out <= _WIDEST):
                raise ArgumentError(f"layer {index} is {layer.n_in} to {layer.n_out} wide; widths are 1 to {_WIDEST:,}")

    @classmethod
    def mlp(cls, n_inputs: int, hidden: tuple[int, ...], n_outputs: int, activation: str = "relu") -> Network:
        """Return linear layers of the given widths with an activation between each two."""
        widths = [n_inputs, *hidden, n_outputs]
        layers: list[Layer] = []
        for n_in, n_out in itertools.pairwise(widths):
            layers += [Linear(n_in, n_out), Activation(activation)]
        return cls(n_inputs, tuple(layers[:-1]))

    @property
    def n_outputs(self) -> int:
        """Outputs for a row."""
        return next((layer.n_out for layer in reversed(self.layers) if isinstance(layer, Linear)), self.n_inputs)

    @cached_property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parameters by name, in the order in which they are initialised."""
        shapes: dict[str, tuple[int, ...]] = {}
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Linear):
                shapes[f"{index}.weight"] = (layer.n_out, layer.n_in)
                shapes[f"{index}.bias"] = (layer.n_out,)
        return shapes

    @property
    def n_parameters(self) -> int:
        """Numbers that training changes."""
        return sum(math.prod(shape) for shape in self.parameter_shapes.values())

    def initialise(self, seed: int) -> dict[str, NDArray[np.float32]]:
        """Return first weights: what building the layers in torch gives after ``torch.manual_seed(seed)``.

        Parameters
        ----------
        seed : int
            0 or larger.

        Returns
        -------
        dict of float32 arrays
            By name, of ``parameter_shapes``.

        Notes
        -----
        Weights are uniform within 1/sqrt(n_in), by way of He initialisation with a = sqrt(5), and so are biases.
        Source: He, Zhang, Ren, Sun, "Delving deep into rectifiers", ICCV 2015; ``torch.nn.Linear.reset_parameters``.
        """
        draw = uniforms_of_torch(seed)
        weights = {}
        for name, shape in self.parameter_shapes.items():
            # The same roundings as torch takes, so that the bounds agree in every bit.
            gain = math.sqrt(2.0 / (1 + math.sqrt(5) ** 2))
            if name.endswith(".weight"):
                n_in = shape[1]
                bound = math.sqrt(3.0) * (gain / math.sqrt(n_in))
            else:
                bound = 1 / math.sqrt(n_in)
            weights[name] = draw(shape, -bound, bound)
        return weights

    def forward(self, weights: Mapping[str, FloatArray], x: FloatArray) -> FloatArray:
        """Return the network's outputs, before any softmax.

        Parameters
        ----------
        weights : mapping of arrays
            By name, of ``parameter_shapes``.
        x : array of shape (rows, n_inputs)

        Returns
        -------
        array of shape (rows, n_outputs), of the dtype of ``x``

        Notes
        -----
        2 * rows * n_in * n_out FLOP for each linear layer.
        """
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Linear):
                x = x @ weights[f"{index}.weight"].T + weights[f"{index}.bias"]
            else:
                x = ACTIVATIONS[layer.name](x)
        return x

    def to_json(self) -> dict[str, object]:
        """Return the network as it stands in ``network.json``."""
        return {"n_inputs": self.n_inputs, "layers": [layer.to_json() for layer in self.layers]}

    @classmethod
    def from_json(cls, document: object) -> Network:
        """Return the network that :meth:`to_json` wrote.

        Raises
        ------
        SavedRunError
            If the document is anything else.
        """
        try:
            if not isinstance(document, dict) or set(document) != {"n_inputs", "layers"}:
                raise ArgumentError("a network has 'n_inputs' and 'layers'")
            if not isinstance(document["layers"], list):
                raise ArgumentError("'layers' is a list")
            return cls(_width(document["n_inputs"]), tuple(_layer_from_json(layer) for layer in document["layers"]))
        except ArgumentError as error:
            raise SavedRunError("the saved network makes no sense", why=error.what) from None

    def __str__(self) -> str:
        return "-".join(str(width) for width in [self.n_inputs, *self._linear_widths()])

    def _linear_widths(self) -> list[int]:
        return [layer.n_out for layer in self.layers if isinstance(layer, Linear)]


def _layer_from_json(document: object) -> Layer:
    if not isinstance(document, dict) or not isinstance(document.get("layer"), str):
        raise ArgumentError("a layer has a name")
    if document["layer"] != "linear":
        if set(document) != {"layer"}:
            raise ArgumentError("an activation has a name and nothing else")
        return Activation(document["layer"])
    if set(document) != {"layer", "n_in", "n_out"}:
        raise ArgumentError("a linear layer has 'n_in' and 'n_out' and nothing else")
    return Linear(_width(document["n_in"]), _width(document["n_out"]))


def _width(value: object) -> int:
    # bool is an int to Python, but not to us.
    if type(value) is not int or not 1 <= value <= _WIDEST:
        raise ArgumentError(f"{value!r} is not a width")
    return value
