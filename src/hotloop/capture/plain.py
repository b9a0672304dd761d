"""Plain ``nn.Sequential``s, read layer by layer: most networks are one, and are read in microseconds.

A walk notes of each layer what it does; what that amounts to is worked out once for all networks of one structure. A
new layer is one reader in :func:`_readers`; a new activation needs none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, cast

from hotloop.capture.activation import read_activation
from hotloop.capture.graph import Graph, Node, Weight
from hotloop.capture.refusal import NotCaptured
from hotloop.capture.supported import ACTIVATIONS, Activation
from hotloop.capture.unaltered import is_compiled, is_untouched, rewiring
from hotloop.errors import ArgumentError
from hotloop.program import network

if TYPE_CHECKING:
    import torch

__all__ = ["Plain", "read_plain"]

# What a layer does, with which parameters, and its settings.
_Step = tuple[str, "Sequence[torch.nn.Parameter]", tuple[Any, ...]]
_Reader = Callable[[Any], "_Step | None"]
# The same with the numbers of the parameters: what two networks of one structure have in common.
_Numbered = tuple[str, tuple[int, ...], tuple[Any, ...]]


@dataclass(eq=False)
class Plain:
    """Layers one after the other.

    Parameters
    ----------
    modules : tuple of torch.nn.Module
        The layers and the Sequentials around them, in the order of ``module.modules()``; each once.
    parameters : tuple of torch.nn.Parameter
        Each once, in the order of their first use.
    shapes : tuple of tuple of int
        Those of the parameters.
    steps : tuple of (str, tuple of int, tuple)
        What each layer does, with which parameters, and its settings.
    is_bare : bool
        Whether the modules hold nothing but these layers and parameters.
    is_spec : bool
        Whether it is a single float32 Sequential, bare, with layers numbered from 0 on.
    is_compiled : bool
        Whether ``module.compile()`` was called on any: it computes the same, by other code.
    """

    modules: tuple[torch.nn.Module, ...]
    parameters: tuple[torch.nn.Parameter, ...]
    shapes: tuple[tuple[int, ...], ...]
    steps: tuple[_Numbered, ...]
    is_bare: bool
    is_spec: bool
    is_compiled: bool

    def graph(self, n_features: int) -> Graph | None:
        """Return what the layers compute from rows of a width; the same object for the same layers.

        None where they do not take such rows, or would change the rows themselves.
        """
        return _graph(n_features, self.shapes, self.steps)

    @property
    def network(self) -> network.Network | None:
        """The same as a layer spec, where the module is nothing more than that; its parameters in the same order."""
        return _spec(self.shapes, self.steps) if self.is_spec else None


def read_plain(module: torch.nn.Module) -> Plain | None:
    """Return a Sequential of covered layers, or a single one, or None for anything else."""
    import torch

    modules: list[torch.nn.Module | None] = []
    is_spec = _unfold(module, modules)
    is_bare, compiled, readers = True, False, _readers()
    sequential, linear = torch.nn.Sequential, torch.nn.Linear
    numbers: dict[int, int] = {}
    parameters: list[torch.nn.Parameter] = []
    steps: list[_Numbered] = []
    for layer in modules:
        if layer is None:  # torch cannot call it either
            return None
        kind = type(layer)
        read = readers.get(kind)
        if read is None or not _has_own_forward(kind):
            return None
        is_container = kind is sequential
        if not is_untouched(layer, is_container):
            if rewiring(layer):
                return None
            compiled = compiled or is_compiled(layer)
            is_bare = is_bare and not _has_more(layer)
        if layer._parameters and kind is not linear:
            is_bare = False
        if is_container:
            continue
        step = read(layer)
        if step is None:
            return None
        op, own, settings = step
        indices = []
        for parameter in own:
            index = numbers.get(id(parameter))
            if index is None:
                index = numbers[id(parameter)] = len(parameters)
                parameters.append(parameter)
            indices.append(index)
        steps.append((op, tuple(indices), settings))
    return Plain(
        modules=tuple(dict.fromkeys(cast("list[torch.nn.Module]", modules))),
        parameters=tuple(parameters),
        shapes=tuple([tuple(parameter.shape) for parameter in parameters]),
        steps=tuple(steps),
        is_bare=is_bare,
        is_spec=is_spec and is_bare and {parameter.dtype for parameter in parameters} == {torch.float32},
        is_compiled=compiled,
    )


def _unfold(module: torch.nn.Module, modules: list[torch.nn.Module | None]) -> bool:
    """Append a module and, of Sequentials, those inside, in order.

    Return whether it is a single Sequential with children numbered from "0" on: they are not where some were named or
    removed.
    """
    import torch

    modules.append(module)
    if type(module) is not torch.nn.Sequential:
        return False
    is_spec = True
    for index, (name, child) in enumerate(module._modules.items()):
        if type(child) is torch.nn.Sequential:
            _unfold(child, modules)
            is_spec = False
        else:
            modules.append(child)
            is_spec = is_spec and name == str(index)
    return is_spec


def _has_more(module: torch.nn.Module) -> bool:
    """Whether a module's state is more than its parameters, and the layers of a Sequential."""
    import torch

    own = module.__dict__
    children = own["_modules"] and type(module) is not torch.nn.Sequential
    return bool(children or own["_buffers"] or own["_state_dict_hooks"] or own["_state_dict_pre_hooks"])


@lru_cache(maxsize=256)
def _graph(n_features: int, shapes: tuple[tuple[int, ...], ...], steps: tuple[_Numbered, ...]) -> Graph | None:
    nodes: list[Node] = []
    width = n_features
    for op, indices, settings in steps:
        if op in ("identity", "nothing"):
            continue
        if op == "linear":
            n_out, n_in = shapes[indices[0]]
            if n_in != width:
                return None
            width = n_out
        # Before any other layer an activation in place would change the rows themselves.
        elif op == "activation in place" and not nodes:
            return None
        name = "linear" if op == "linear" else "activation"
        nodes.append(Node(name, (len(nodes), *(Weight(index) for index in indices)), settings))
    return Graph(n_features, shapes, tuple(nodes), len(nodes), width)


@lru_cache(maxsize=256)
def _spec(shapes: tuple[tuple[int, ...], ...], steps: tuple[_Numbered, ...]) -> network.Network | None:
    n_inputs = next((shapes[indices[0]][1] for op, indices, _ in steps if op == "linear"), None)
    own = list(itertools.chain.from_iterable(indices for _, indices, _ in steps))
    layers = [_layer(op, [shapes[index] for index in indices], settings) for op, indices, settings in steps]
    # A spec shares no parameters.
    if n_inputs is None or len(set(own)) != len(own) or None in layers:
        return None
    try:
        return network.Network(n_inputs, tuple(layer for layer in layers if layer is not None))
    except ArgumentError:  # layers that do not fit each other
        return None


def _layer(op: str, shapes: list[tuple[int, ...]], settings: tuple[Any, ...]) -> network.Layer | None:
    if op == "linear":
        return network.Linear(shapes[0][1], shapes[0][0]) if len(shapes) == 2 else None
    if op == "identity":
        return network.Activation("identity")
    # A spec has torch's default settings.
    if op == "nothing" or settings[0] not in network.ACTIVATIONS or settings[1]:
        return None
    return network.Activation(settings[0])


@cache
def _readers() -> Mapping[type, _Reader]:
    """What reads a layer of each class; it returns None where the layer is to be followed instead."""
    import torch

    of_activations = {getattr(torch.nn, row.module): _activation(row) for row in ACTIVATIONS}
    return {
        torch.nn.Sequential: lambda layers: None,
        torch.nn.Linear: _linear,
        torch.nn.Identity: lambda layer: ("identity", (), ()),
        torch.nn.Flatten: _flatten,
        torch.nn.Dropout: _dropout,
        **of_activations,
    }


# The code of forwards that were found to be torch's own.
_own_code: dict[type, Any] = {}


def _has_own_forward(kind: type[torch.nn.Module]) -> bool:
    """Whether a class of torch's has the forward that torch gave it: someone may have put another there."""
    code = getattr(kind.forward, "__code__", None)
    if code is None:
        return False
    if _own_code.get(kind) is code:
        return True
    is_own: bool = code.co_qualname == f"{kind.__name__}.forward" and kind.forward.__module__ == kind.__module__
    if is_own:
        _own_code[kind] = code
    return is_own


_NOTHING: _Step = ("nothing", (), ())


def _linear(layer: torch.nn.Linear) -> _Step | None:
    named, own = layer._parameters, layer.__dict__
    if tuple(named) != ("weight", "bias") or "weight" in own or "bias" in own or layer._buffers or layer._modules:
        return None
    weight, bias = named.values()
    if weight is None or weight.ndim != 2:
        return None
    if bias is None:
        return "linear", (weight,), (True,)
    return ("linear", (weight, bias), (True,)) if bias.shape == weight.shape[:1] else None


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
