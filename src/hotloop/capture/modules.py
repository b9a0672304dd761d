"""nn.Module -> graph: a plain ``nn.Sequential`` is read layer by layer, any other module is followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotloop.capture.graph import Graph
from hotloop.capture.plain import Plain
from hotloop.capture.unaltered import check_no_global_hooks, check_parameters
from hotloop.program.network import Network

if TYPE_CHECKING:
    import torch

__all__ = ["Read", "read_model"]


@dataclass(eq=False)
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
    network : Network, optional
        The same as a layer spec, where the model is nothing more; its parameters in the order of these.
    """

    graph: Graph
    evaluation: Graph | None
    parameters: tuple[torch.nn.Parameter, ...]
    element: str
    network: Network | None


def read_model(model: torch.nn.Module, plain: Plain | None, n_features: int, has_validation: bool) -> Read:
    """Return what a model computes; ``plain`` is what :func:`hotloop.capture.plain.read_plain` made of it.

    Raises
    ------
    NotCaptured
        Naming the module that is not covered.
    """
    check_no_global_hooks()
    graph = None if plain is None or plain.is_compiled else plain.graph(n_features)
    if plain is None or graph is None:
        from hotloop.capture.follow import follow

        followed, evaluation, parameters = follow(model, n_features, has_validation)
        return Read(followed, evaluation, parameters, check_parameters(model, parameters), None)
    element = check_parameters(model, plain.parameters)
    # Layers that are read so do the same in both modes.
    return Read(graph, graph if has_validation else None, plain.parameters, element, plain.network)
