"""Layer spec -> ``nn.Sequential``, and back where a module is nothing more than that.

:data:`_MODULES` is the table of what is understood: one row per layer of ``program/network.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hotloop.errors import ArgumentError
from hotloop.program.network import Activation, Layer, Linear, Network

if TYPE_CHECKING:
    import torch

__all__ = ["arrays_of", "from_module", "to_module"]

# Activation name -> class name in torch.nn and the settings under which the two mean the same.
_MODULES: Mapping[str, tuple[str, dict[str, object]]] = {
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "gelu": ("GELU", {"approximate": "none"}),
    "silu": ("SiLU", {}),
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 20.0}),
    "identity": ("Identity", {}),
}


def to_module(network: Network, weights: Mapping[str, NDArray[Any]]) -> torch.nn.Sequential:
    """Return the network as a module that holds ``weights``.

    Parameters
    ----------
    network : Network
    weights : mapping of float32 arrays
        By name, of ``network.parameter_shapes``; copied.

    Returns
    -------
    torch.nn.Sequential
        On the CPU, in training mode. torch's random generator is left as it was.
    """
    import torch

    layers: list[torch.nn.Module] = []
    for layer in network.layers:
        if isinstance(layer, Linear):
            # skip_init: the weights are known, and drawing them would advance torch's generator.
            layers.append(torch.nn.utils.skip_init(torch.nn.Linear, layer.n_in, layer.n_out))  # type: ignore[no-untyped-call]
        else:
            class_name, settings = _MODULES[layer.name]
            layers.append(getattr(torch.nn, class_name)(**settings))
    module = torch.nn.Sequential(*layers)
    module.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return module


def from_module(module: torch.nn.Module) -> Network | None:
    """Return the layer spec of a plain float32 ``nn.Sequential``, or None where there is no such spec.

    A module with hooks, shared layers, other settings or other layers has none: what the spec says must be all
    that the module does.
    """
    import torch

    if type(module) is not torch.nn.Sequential or _is_altered(module):
        return None
    # Sequential counts its children from "0" on, unless they were named or removed.
    if any(name != str(index) for index, name in enumerate(module._modules)):
        return None
    layers = [_layer(child) for child in module._modules.values()]
    if None in layers:
        return None
    network = _network(tuple(layers))
    own = list(map(id, _parameters(module)))
    return network if network and len(set(own)) == len(own) == len(network.parameter_shapes) else None


def arrays_of(network: Network, module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Return copies of the weights of a module whose layer spec is ``network``, by name."""
    own = [parameter.numpy(force=True).copy() for parameter in _parameters(module)]
    return dict(zip(network.parameter_shapes, own, strict=True))


def _parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    layers = [child for child in module._modules.values() if child is not None]
    return [own for layer in layers for own in layer._parameters.values() if own is not None]


@lru_cache(maxsize=256)
def _network(layers: tuple[Layer, ...]) -> Network | None:
    first = next((layer for layer in layers if isinstance(layer, Linear)), None)
    try:
        return None if first is None else Network(first.n_in, layers)
    except ArgumentError:  # layers that do not fit each other
        return None


def _layer(module: torch.nn.Module | None) -> Layer | None:
    import torch

    if module is None or _is_altered(module):
        return None
    if type(module) is torch.nn.Linear:
        weight, bias = (module._parameters.get(name) for name in ("weight", "bias"))
        plain = bias is not None and weight is not None and weight.dtype == torch.float32
        return Linear(module.in_features, module.out_features) if plain else None
    name, settings = _activations().get(type(module), ("", {}))
    same = all(getattr(module, key) == value for key, value in settings.items())
    return Activation(name) if name and same else None


@cache
def _activations() -> Mapping[type, tuple[str, dict[str, object]]]:
    """Name and settings of each activation by its class."""
    import torch

    return {getattr(torch.nn, module): (name, settings) for name, (module, settings) in _MODULES.items()}


def _is_altered(module: torch.nn.Module) -> bool:
    """Whether hooks, another ``forward`` or foreign buffers make an instance do more than its class does."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    state_hooks = module._state_dict_hooks or module._state_dict_pre_hooks
    return any(hooks) or "forward" in vars(module) or bool(module._buffers or state_hooks)
