"""Model, loss and optimizer -> a program, and which tensors its inputs are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hotloop.capture.loss_parts import LossParts
from hotloop.capture.losses import TargetKind, read_loss
from hotloop.capture.model_parts import ModelParts
from hotloop.capture.modules import read_model
from hotloop.capture.optimizers import CapturedGroup, read_groups
from hotloop.capture.recipe import Recipe, write_program
from hotloop.capture.refusal import NotCaptured
from hotloop.program.network import Network
from hotloop.program.program import Program

if TYPE_CHECKING:
    import torch

__all__ = ["Captured", "capture"]


@dataclass(eq=False)
class Captured:
    """A program and the tensors it is about.

    Parameters
    ----------
    program : Program
        The same object for runs of one structure, as long as it is kept.
    weights : mapping of torch.nn.Parameter
        By the names of the program's inputs of role "weight", frozen ones too.
    fixed : mapping of arrays
        The inputs of role "fixed".
    groups : tuple of CapturedGroup
        For each of the program's updates.
    n_outputs : int
        Features of the model's output.
    network : Network, optional
        The model as a layer spec, where it is nothing more; its parameters in the order of ``weights``.
    """

    program: Program
    weights: Mapping[str, torch.nn.Parameter]
    fixed: Mapping[str, NDArray[Any]]
    groups: tuple[CapturedGroup, ...]
    n_outputs: int
    network: Network | None


def capture(
    model: torch.nn.Module,
    loss: Callable[..., Any],
    optimizer: torch.optim.Optimizer,
    *,
    n_features: int,
    target: TargetKind,
    has_row_weight: bool,
    has_validation: bool,
    ignores_labels: bool,
    clip_grad_norm: float | None,
    parts: ModelParts | None = None,
    loss_parts: LossParts | None = None,
) -> Captured:
    """Return the program of training ``model``; nothing is changed, and nothing observable runs.

    Parameters
    ----------
    model, loss, optimizer
        As given to :func:`hotloop.fit`.
    n_features : int
        Columns of X.
    target : "labels" or "numbers"
        Whether y holds a class for each row, or real numbers in the shape of the output.
    has_row_weight : bool
        Whether training rows have weights.
    has_validation : bool
        Whether the program shall have an evaluation: the loss in eval mode, of rows without weights.
    ignores_labels : bool
        Whether y has the label that the loss ignores.
    clip_grad_norm : float, optional
        Largest norm of all gradients together.
    parts, loss_parts : ModelParts and LossParts, optional
        Those of model and loss, read just now.

    Raises
    ------
    NotCaptured
        Naming what is not covered, why, and what to do.

    Notes
    -----
    A plain ``nn.Sequential`` whose structure was captured before costs some 50 microseconds.
    """
    _check_surroundings()
    parts, loss_parts = parts or ModelParts.of(model), loss_parts or LossParts.of(loss)
    read = read_model(model, parts.plain, n_features, has_validation)
    rule, fixed = read_loss(loss_parts, target, read.graph.n_outputs, read.element, ignores_labels)
    groups = read_groups(optimizer, read.parameters)
    if not groups:
        raise NotCaptured(
            f"the model ({type(model).__name__})",
            "the optimizer trains none of the parameters that its output depends on",
            "give the optimizer model.parameters()",
        )
    number = {id(parameter): index for index, parameter in enumerate(read.parameters)}
    recipe = Recipe(
        element=read.element,
        graph=read.graph,
        evaluation=read.evaluation,
        loss=rule,
        target=target,
        has_row_weight=has_row_weight,
        updates=tuple([(group.rule.canonical, tuple([number[id(p)] for p in group.parameters])) for group in groups]),
        max_norm=None if clip_grad_norm is None else float(clip_grad_norm),
    )
    program = write_program(recipe)
    weights = dict(zip(program.weight_names, read.parameters, strict=True))
    return Captured(program, weights, fixed, tuple(groups), read.graph.n_outputs, read.network)


def _check_surroundings() -> None:
    """Refuse what changes the meaning of every torch operation around the call."""
    import torch

    if not torch.is_grad_enabled():
        raise NotCaptured("this call", "gradients are switched off around it", "train outside of torch.no_grad()")
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise NotCaptured("this call", "autocast is on around it", "train outside of torch.autocast")
