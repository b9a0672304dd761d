"""Layer spec -> ``nn.Sequential``, and back where a module is nothing more than that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hotloop.capture.plain import read_plain
from hotloop.capture.supported import ACTIVATIONS
from hotloop.program.network import Linear, Network

if TYPE_CHECKING:
    import torch

__all__ = ["arrays_of", "from_module", "to_module"]

_CLASSES = {"identity": "Identity", **{row.program: row.module for row in ACTIVATIONS}}


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
            layers.append(getattr(torch.nn, _CLASSES[layer.name])())
    module = torch.nn.Sequential(*layers)
    module.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    return module


def from_module(module: torch.nn.Module) -> Network | None:
    """Return the layer spec of a plain float32 ``nn.Sequential``, or None where there is no such spec.

    A module with hooks, shared layers, other settings or other layers has none: what the spec says must be all
    that the module does.
    """
    plain = read_plain(module)
    return None if plain is None else plain.network


def arrays_of(network: Network, module: torch.nn.Module) -> dict[str, NDArray[Any]]:
    """Return copies of the weights of a module whose layer spec is ``network``, by name."""
    own = [parameter.numpy(force=True).copy() for parameter in _parameters(module)]
    return dict(zip(network.parameter_shapes, own, strict=True))


def _parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    layers = [child for child in module._modules.values() if child is not None]
    return [own for layer in layers for own in layer._parameters.values() if own is not None]
