"""What a network computes, as plain data that can be compared and hashed: the key under which programs are kept.

Values are numbered: 0 is the rows' features, and node ``i`` gives value ``i + 1``. Every value has the shape
(rows, some width). Weights are numbered in the order of their first use, so that two networks of one structure have
equal graphs, whatever their parameters are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["Graph", "Node", "Number", "Operand", "Weight", "make_graph"]


@dataclass(frozen=True)
class Weight:
    """A parameter, by its number."""

    index: int


@dataclass(frozen=True)
class Number:
    """A Python number that stands beside a tensor in arithmetic."""

    value: float


Operand = int | Weight | Number


@dataclass(frozen=True)
class Node:
    """One operation on values.

    Parameters
    ----------
    op : str
        A name in ``forward.WRITERS``.
    operands : tuple of int, Weight or Number
        Numbers of values; parameters; numbers.
    settings : tuple
        What else the writer needs.
    """

    op: str
    operands: tuple[Operand, ...]
    settings: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A whole network.

    Parameters
    ----------
    n_features : int
        Width of value 0.
    shapes : tuple of tuple of int
        Of the weights.
    nodes : tuple of Node
        Only those that the output depends on.
    output : int
        The value that is the network's output.
    n_outputs : int
        Its width.
    """

    n_features: int
    shapes: tuple[tuple[int, ...], ...]
    nodes: tuple[Node, ...]
    output: int
    n_outputs: int

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Asked for at every fit.
        return hash((self.n_features, self.shapes, self.nodes, self.output, self.n_outputs))


def make_graph(
    n_features: int,
    shapes: Sequence[tuple[int, ...]],
    nodes: Sequence[Node],
    output: int,
    n_outputs: int,
    numbers: dict[int, int],
) -> Graph:
    """Return the graph without what the output does not depend on.

    Parameters
    ----------
    n_features, output, n_outputs : int
    shapes : sequence of tuple of int
        Of the weights as ``nodes`` number them.
    nodes : sequence of Node
    numbers : dict
        The new number of each weight that has one; weights used for the first time are added.
    """
    needed = {output}
    for number in range(len(nodes), 0, -1):
        if number in needed:
            needed.update(operand for operand in nodes[number - 1].operands if isinstance(operand, int))
    kept = [number for number in range(1, len(nodes) + 1) if number in needed]
    places = {0: 0, **{number: place for place, number in enumerate(kept, start=1)}}

    def renumbered(operand: Operand) -> Operand:
        if isinstance(operand, Weight):
            return Weight(numbers.setdefault(operand.index, len(numbers)))
        return places[operand] if isinstance(operand, int) else operand

    live = [nodes[number - 1] for number in kept]
    renamed = tuple(Node(node.op, tuple(map(renumbered, node.operands)), node.settings) for node in live)
    return Graph(n_features, tuple(shapes[index] for index in numbers), renamed, places[output], n_outputs)
