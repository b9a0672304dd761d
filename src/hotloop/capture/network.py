"""Layer spec -> program, without torch: what capturing the ``nn.Sequential`` of the same layers gives."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hotloop.capture.graph import Graph, Node, Weight
from hotloop.capture.losses import LossRule
from hotloop.capture.recipe import Recipe, write_program
from hotloop.program.network import Linear, Network
from hotloop.program.optimizers import OptimizerRule
from hotloop.program.program import Program

__all__ = ["capture_network", "graph_of"]


def capture_network(
    network: Network,
    *,
    task: Literal["classification", "regression"],
    class_weight: NDArray[Any] | None,
    rule: OptimizerRule,
    has_validation: bool,
) -> tuple[Program, dict[str, NDArray[Any]]]:
    """Return the float32 program that trains a network, and its inputs of role "fixed".

    Parameters
    ----------
    network : Network
        Its parameters, in the order of ``parameter_shapes``, are the program's weights in theirs.
    task : "classification" or "regression"
        Cross entropy against labels, or the mean squared difference.
    class_weight : array of shape (outputs,), optional
    rule : OptimizerRule
        For all weights.
    has_validation : bool
        Whether the program shall have an evaluation.
    """
    graph = graph_of(network)
    fixed = {} if class_weight is None else {"class_weight": np.asarray(class_weight, np.float32)}
    is_classification = task == "classification"
    recipe = Recipe(
        element="f32",
        graph=graph,
        evaluation=graph if has_validation else None,
        loss=LossRule("CrossEntropyLoss" if is_classification else "MSELoss", has_class_weight=bool(fixed)),
        target="labels" if is_classification else "numbers",
        has_row_weight=False,
        updates=((rule.canonical, tuple(range(len(graph.shapes)))),),
        max_norm=None,
    )
    return write_program(recipe), fixed


def graph_of(network: Network) -> Graph:
    """Return the graph that capturing the ``nn.Sequential`` of the same layers gives."""
    nodes: list[Node] = []
    shapes = tuple(network.parameter_shapes.values())
    n_weights = 0
    for layer in network.layers:
        if isinstance(layer, Linear):
            nodes.append(Node("linear", (len(nodes), Weight(n_weights), Weight(n_weights + 1)), (True,)))
            n_weights += 2
        elif layer.name != "identity":
            nodes.append(Node("activation", (len(nodes),), (layer.name, ())))
    return Graph(network.n_inputs, shapes, tuple(nodes), len(nodes), network.n_outputs)
