"""All that determines a program, as one key; and the programs written lately.

Fitting a thousand networks of one structure writes one program.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from hotloop.capture.forward import Inputs, write_forward
from hotloop.capture.graph import Graph
from hotloop.capture.losses import LossRule, TargetKind, write_loss
from hotloop.program.build import BlockBuilder, Value, apply
from hotloop.program.gradients import gradients
from hotloop.program.optimizers import OptimizerRule, write_update
from hotloop.program.program import Block, Program
from hotloop.program.types import ROWS, Axis, Type

__all__ = ["Recipe", "write_program"]

_ROLES = ("data", "weight", "fixed")


class Recipe(NamedTuple):
    """What a program is written from; a tuple, since it is looked up at every fit.

    Parameters
    ----------
    element : str
        "f32" or "f64".
    graph : Graph
        The network as it is trained.
    evaluation : Graph, optional
        The network as it is evaluated, with the weights of ``graph``.
    loss : LossRule
    target : "labels" or "numbers"
    has_row_weight : bool
    updates : tuple of (OptimizerRule, tuple of int)
        Rules in their ``canonical`` form, and which weights they change.
    max_norm : float, optional
        Largest norm of all gradients together.
    """

    element: str
    graph: Graph
    evaluation: Graph | None
    loss: LossRule
    target: TargetKind
    has_row_weight: bool
    updates: tuple[tuple[OptimizerRule, tuple[int, ...]], ...]
    max_norm: float | None


@lru_cache(maxsize=256)
def write_program(recipe: Recipe) -> Program:
    """Return the program of a recipe; its weights stand in the order of the graph's.

    Notes
    -----
    About a millisecond for two layers; a microsecond where the same recipe was written before.
    """
    inputs: Inputs = {}
    step, loss = _write_loss_of(recipe, recipe.graph, inputs, recipe.has_row_weight)
    trained = [index for _, indices in recipe.updates for index in indices]
    names = {index: inputs[index][0] for index in trained}
    found = gradients(step, loss, [step.value(names[index]) for index in trained])
    for index, gradient in zip(trained, found, strict=True):
        assert gradient is not None, "a weight that the graph has, and the loss does not depend on"
        step.output(f"gradient of {names[index]}", gradient)
    if recipe.max_norm is not None:
        step.output("clip", _clip([gradient for gradient in found if gradient is not None], recipe.max_norm))
    evaluation = None
    if recipe.evaluation is not None:
        evaluation = _finish(_write_loss_of(recipe, recipe.evaluation, inputs, False)[0])
    updates = [
        write_update(
            rule,
            tuple(names[index] for index in indices),
            sum(inputs[index][1].n_features for index in indices),
            recipe.element,
            recipe.max_norm is not None,
        )
        for rule, indices in recipe.updates
    ]
    return Program(_finish(step), tuple(updates), evaluation)


def _write_loss_of(recipe: Recipe, graph: Graph, inputs: Inputs, has_row_weight: bool) -> tuple[BlockBuilder, Value]:
    block = BlockBuilder(recipe.element)
    x = block.input("x", Type(recipe.element, (ROWS, Axis("features", graph.n_features))), "data")
    output = write_forward(block, graph, x, inputs)
    of_target = output.type if recipe.target == "numbers" else Type("i64", (ROWS,))
    y = block.input("y", of_target, "data")
    row_weight = block.input("row_weight", Type(recipe.element, (ROWS,)), "data") if has_row_weight else None
    loss = write_loss(recipe.loss, output, y, row_weight)
    block.output("loss", loss)
    return block, loss


def _clip(found: list[Value], max_norm: float) -> Value:
    """Return what gradients are multiplied by, as ``torch.nn.utils.clip_grad_norm_`` computes it."""
    total = apply("square_sum", found[0])
    for gradient in found[1:]:
        total = total + apply("square_sum", gradient)
    return apply("min", max_norm / (apply("sqrt", total) + 1e-6), 1.0)


def _finish(builder: BlockBuilder) -> Block:
    """Return the block with its inputs by role: the target's axes are known only after the network's weights."""
    block = builder.finish()
    return replace(block, inputs=tuple(sorted(block.inputs, key=lambda item: _ROLES.index(item.role))))
