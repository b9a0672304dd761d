"""nn.Module -> graph: a plain ``nn.Sequential`` is read layer by layer, any other module is followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from hotloop.capture.activation import read_activation
from hotloop.capture.graph import Graph, Node, Weight
from hotloop.capture.refusal import NotCaptured
from hotloop.capture.supported import ACTIVATIONS, Activation
from hotloop.capture.unaltered import alteration, check_no_global_hooks, check_parameters

if TYPE_CHECKING:
    import torch

__all__ = ["Read", "read_model"]


@dataclass(frozen=True, eq=False)
class Read:
    """A model as a graph.

    Parameters
    ----------
    graph : Graph
    evaluation : Graph, optional
        In eval mode, with the same numbers for the same weights.
    parameters : tuple of torch.nn.Parameter
        The graph's weights by number.
    element : str
        Their dtype: "f32" or "f64".
    """

    graph: Graph
    evaluation: Graph | None
    parameters: tuple[torch.nn.Parameter, ...]
    element: str


def read_model(model: torch.nn.Module, n_features: int, has_validation: bool) -> Read:
    """Return what a model computes.

    Raises
    ------
    NotCaptured
        Naming the module that is not covered.
    """
    check_no_global_hooks()
    plain = _read_layers(model, n_features)
    if plain is None:
        from hotloop.capture.follow import follow

        graph, evaluation, parameters = follow(model, n_features, has_validation)
        return Read(graph, evaluation, parameters, check_parameters(model, parameters))
    graph, parameters = plain
    # Layers that are read here do the same in both modes.
    return Read(graph, graph if has_validation else None, parameters, check_parameters(model, parameters))


def _read_layers(model: torch.nn.Module, n_features: int) -> tuple[Graph, tuple[torch.nn.Parameter, ...]] | None:
    """Return the graph of a Sequential of covered layers, or None for anything else."""
    numbers: dict[int, int] = {}
    parameters: list[torch.nn.Parameter] = []
    steps: list[tuple[str, tuple[int, ...], tuple[Any, ...]]] = []
    readers, width = _readers(), n_features
    for layer in _layers(model):
        read = readers.get(type(layer))
        if layer is None or read is None or alteration(layer) or _is_patched(type(layer)):
            return None
        step = read(layer)
        if step is None:
            return None
        op, own, settings = step
        if op == "identity":
            continue
        if op == "linear":
            n_out, n_in = own[0].shape
            if n_in != width:
                return None
            width = n_out
        elif op == "activation in place":
            # Before any other layer it would change the rows themselves.
            if not steps:
                return None
            op = "activation"
        for parameter in own:
            if numbers.setdefault(id(parameter), len(parameters)) == len(parameters):
                parameters.append(parameter)
        steps.append((op, tuple([numbers[id(parameter)] for parameter in own]), settings))
    shapes = tuple([tuple(parameter.shape) for parameter in parameters])
    return _graph(n_features, shapes, tuple(steps), width), tuple(parameters)


@lru_cache(maxsize=256)
def _graph(
    n_features: int,
    shapes: tuple[tuple[int, ...], ...],
    steps: tuple[tuple[str, tuple[int, ...], tuple[Any, ...]], ...],
    n_outputs: int,
) -> Graph:
    """Return the graph of layers one after the other; the same object for the same layers, which compares faster."""
    nodes = [
        Node(op, (number, *(Weight(index) for index in indices)), settings)
        for number, (op, indices, settings) in enumerate(steps)
    ]
    return Graph(n_features, shapes, tuple(nodes), len(nodes), n_outputs)


def _is_patched(kind: type[torch.nn.Module]) -> bool:
    """Whether someone has given a class another forward."""
    return bool(kind.forward.__module__ != kind.__module__)


def _layers(module: torch.nn.Module | None) -> Iterator[torch.nn.Module | None]:
    """Yield the layers of nested Sequentials in order; None where something else stands."""
    import torch

    if type(module) is not torch.nn.Sequential:
        yield module
        return
    if alteration(module):
        yield None
    for child in module._modules.values():
        yield from _layers(child)


# What a layer does, with which parameters and settings.
_Step = tuple[str, "Sequence[torch.nn.Parameter]", tuple[Any, ...]]
_Reader = Callable[[Any], "_Step | None"]
_NOTHING: _Step = ("identity", (), ())


@cache
def _readers() -> Mapping[type, _Reader]:
    """What reads a layer of each class; it returns None where the layer is to be followed instead."""
    import torch

    of_activations = {getattr(torch.nn, row.module): _activation(row) for row in ACTIVATIONS}
    return {
        torch.nn.Linear: _linear,
        torch.nn.Identity: lambda layer: _NOTHING,
        torch.nn.Flatten: _flatten,
        torch.nn.Dropout: _dropout,
        **of_activations,
    }


def _linear(layer: torch.nn.Linear) -> _Step | None:
    own = [parameter for parameter in layer._parameters.values() if parameter is not None]
    named = list(layer._parameters) == ["weight", "bias"] and layer._parameters["weight"] is not None
    shadowed = "weight" in vars(layer) or "bias" in vars(layer) or layer._buffers or layer._modules
    if not named or shadowed or own[0].ndim != 2 or (len(own) == 2 and own[1].shape != own[0].shape[:1]):
        return None
    return "linear", own, (True,)


def _flatten(layer: torch.nn.Flatten) -> _Step | None:
    return _NOTHING if layer.start_dim == 1 and layer.end_dim in (-1, 1) else None


def _dropout(layer: torch.nn.Dropout) -> _Step | None:
    return _NOTHING if layer.p == 0 or not layer.training else None


def _activation(row: Activation) -> _Reader:
    def read(layer: torch.nn.Module) -> _Step | None:
        own = layer.__dict__
        in_place = own.get("inplace", False)
        try:
            settings = read_activation("", row, {name: own[name] for name in row.defaults}, in_place)
        except (NotCaptured, KeyError):
            return None
        return ("activation in place" if in_place else "activation"), (), settings

    return read
