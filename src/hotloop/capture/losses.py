"""torch's losses -> the losses of ``program/losses.py``.

Recognised are the classes of ``torch.nn`` themselves, the functions of ``torch.nn.functional``, and partials that fix
nothing but settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from numpy.typing import NDArray

from hotloop.capture.loss_parts import LossParts
from hotloop.capture.refusal import NotCaptured
from hotloop.capture.supported import LOSSES, Loss
from hotloop.program import losses
from hotloop.program.build import Value
from hotloop.program.types import Type

if TYPE_CHECKING:
    import torch

__all__ = ["LossRule", "TargetKind", "read_loss", "write_loss"]

TargetKind = Literal["labels", "numbers"]
"""What y holds: an integer class for each row, or real numbers in the shape of the model's output."""


class LossRule(NamedTuple):
    """A loss without the arrays it holds; a tuple, since it is looked up at every fit.

    Parameters
    ----------
    name : str
        Of a row of ``supported.LOSSES``.
    reduction : "mean" or "sum"
    has_class_weight : bool
    pos_weight : "none", "one" or "each"
        Whether positive targets have a weight: one for all outputs, or one for each.
    label_smoothing : float
    ignored : int, optional
        The label whose rows do not count, where y has it.
    width : float
        Where the loss turns from a square to a line: ``delta`` of Huber, ``beta`` of smooth L1.
    """

    name: str
    reduction: str = "mean"
    has_class_weight: bool = False
    pos_weight: str = "none"
    label_smoothing: float = 0.0
    ignored: int | None = None
    width: float = 1.0


def write_loss(rule: LossRule, output: Value, y: Value, row_weight: Value | None) -> Value:
    """Append the loss of the batch, a scalar; adds the inputs "class_weight" and "pos_weight" where there are any."""
    return losses.reduce_rows(*_WRITERS[rule.name](rule, output, y), row_weight, rule.reduction)


def _cross_entropy(rule: LossRule, output: Value, y: Value) -> tuple[Value, Value | None]:
    block, classes = output.block, output.type.axes[-1]
    class_weight = None
    if rule.has_class_weight:
        class_weight = block.input("class_weight", Type(block.element, (classes,)), "fixed")
    if y.type.element == "i64":
        return losses.cross_entropy(output, y, class_weight, rule.label_smoothing, rule.ignored)
    return losses.soft_cross_entropy(output, y, class_weight, rule.label_smoothing), None


def _binary_cross_entropy(rule: LossRule, output: Value, y: Value) -> tuple[Value, None]:
    block, pos_weight = output.block, None
    if rule.pos_weight != "none":
        axes = output.type.features if rule.pos_weight == "each" else ()
        pos_weight = block.input("pos_weight", Type(block.element, axes), "fixed")
    return losses.binary_cross_entropy(output, y, pos_weight), None


def _smooth_l1(rule: LossRule, output: Value, y: Value) -> tuple[Value, None]:
    # torch computes the plain absolute difference where beta is 0.
    if rule.width == 0:
        return losses.absolute(output, y), None
    loss = losses.huber(output, y, rule.width)
    return (loss if rule.width == 1 else loss * (1.0 / rule.width)), None


_WRITERS: Mapping[str, Callable[[LossRule, Value, Value], tuple[Value, Value | None]]] = {
    "CrossEntropyLoss": _cross_entropy,
    "BCEWithLogitsLoss": _binary_cross_entropy,
    "MSELoss": lambda rule, output, y: (losses.squared(output, y), None),
    "L1Loss": lambda rule, output, y: (losses.absolute(output, y), None),
    "HuberLoss": lambda rule, output, y: (losses.huber(output, y, rule.width), None),
    "SmoothL1Loss": _smooth_l1,
}


def read_loss(
    loss: LossParts, target: TargetKind, n_outputs: int, element: str, ignores_labels: bool
) -> tuple[LossRule, dict[str, NDArray[Any]]]:
    """Return the rule of a loss and the arrays it holds.

    Parameters
    ----------
    loss : LossParts
    target : "labels" or "numbers"
    n_outputs : int
        Width of the model's output.
    element : str
        "f32" or "f64".
    ignores_labels : bool
        Whether y has the label that the loss ignores.

    Raises
    ------
    NotCaptured
        If the loss, or one of its settings, is not covered.
    """
    row, settings = _recognise(loss)
    where = f"the loss {loss.described}"
    if settings["reduction"] not in ("mean", "sum"):
        raise NotCaptured(where, f"its reduction is {settings['reduction']!r}", 'use reduction="mean" or "sum"')
    if row.module == "CrossEntropyLoss":
        return _read_cross_entropy(where, settings, target, n_outputs, element, ignores_labels)
    if target == "labels":
        raise NotCaptured(where, "y holds labels, and it takes numbers", "use CrossEntropyLoss for labels")
    if row.module == "BCEWithLogitsLoss":
        return _read_binary_cross_entropy(where, settings, n_outputs, element)
    width = settings.get("delta", settings.get("beta", 1.0))
    if type(width) not in (int, float) or not (width > 0 or (row.module == "SmoothL1Loss" and width == 0)):
        raise NotCaptured(where, f"{width!r} is no width of its square part", "use a positive number")
    return LossRule(row.module, settings["reduction"], width=float(width)), {}


_WITHOUT = "use the loss without it; rows are weighted by sample_weight"


def _recognise(loss: LossParts) -> tuple[Loss, dict[str, Any]]:
    row = None if loss.kind is None else _rows().get(loss.kind)
    if row is None:
        do = "use one of " + ", ".join(row.module for row in LOSSES)
        raise NotCaptured(f"the loss {loss.described}", "it is none that programs are written for", do)
    if loss.altered:
        raise NotCaptured(f"the loss {loss.name}", *loss.altered)
    if loss.fixes_tensor:
        raise NotCaptured(f"the loss {loss.name}", "the partial fixes a tensor", _WITHOUT)
    for name, value in loss.settings.items():
        if name not in row.defaults and (loss.is_partial or value is not None):
            raise NotCaptured(f"the loss {loss.name}", f"it has the setting {name!r}", _WITHOUT)
    return row, {**row.defaults, **loss.settings}


@cache
def _rows() -> Mapping[Any, Loss]:
    """The covered losses by class and by function."""
    import torch

    functions = {getattr(torch.nn.functional, row.function): row for row in LOSSES}
    return {**{getattr(torch.nn, row.module): row for row in LOSSES}, **functions}


def _read_cross_entropy(
    where: str, settings: dict[str, Any], target: TargetKind, n_outputs: int, element: str, ignores_labels: bool
) -> tuple[LossRule, dict[str, NDArray[Any]]]:
    smoothing, ignored = settings["label_smoothing"], settings["ignore_index"]
    if type(smoothing) not in (int, float) or not 0 <= smoothing <= 1:
        raise NotCaptured(where, f"label_smoothing is {smoothing!r}", "use a number from 0 to 1")
    if not -(1 << 31) <= ignored < 1 << 31:
        raise NotCaptured(where, f"ignore_index is {ignored}", "use a number of 32 bits")
    if target == "numbers" and ignored >= 0:
        raise NotCaptured(where, "y holds probabilities, and no label to ignore", "leave ignore_index as it is")
    fixed = {}
    if settings["weight"] is not None:
        fixed["class_weight"] = _fixed(where, "weight", settings["weight"], element)
        if fixed["class_weight"].shape != (n_outputs,):
            raise NotCaptured(where, f"its weight is not one number for each of {n_outputs} outputs")
    rule = LossRule(
        "CrossEntropyLoss",
        settings["reduction"],
        has_class_weight=bool(fixed),
        label_smoothing=float(smoothing),
        ignored=int(ignored) if ignores_labels and target == "labels" else None,
    )
    return rule, fixed


def _read_binary_cross_entropy(
    where: str, settings: dict[str, Any], n_outputs: int, element: str
) -> tuple[LossRule, dict[str, NDArray[Any]]]:
    if settings["pos_weight"] is None:
        return LossRule("BCEWithLogitsLoss", settings["reduction"]), {}
    pos_weight = _fixed(where, "pos_weight", settings["pos_weight"], element)
    if pos_weight.size == 1 and pos_weight.ndim <= 1:
        rule = LossRule("BCEWithLogitsLoss", settings["reduction"], pos_weight="one")
        return rule, {"pos_weight": pos_weight.reshape(())}
    if pos_weight.shape != (n_outputs,):
        raise NotCaptured(where, f"its pos_weight is not one number for each of {n_outputs} outputs")
    return LossRule("BCEWithLogitsLoss", settings["reduction"], pos_weight="each"), {"pos_weight": pos_weight}


def _fixed(where: str, name: str, tensor: torch.Tensor, element: str) -> NDArray[Any]:
    import torch

    if type(tensor) is not torch.Tensor or tensor.requires_grad:
        raise NotCaptured(where, f"its {name} is trained, or no plain tensor", f"use a plain tensor as {name}")
    if tensor.dtype != {"f32": torch.float32, "f64": torch.float64}[element]:
        raise NotCaptured(where, f"its {name} has another dtype than the model", "convert it")
    return tensor.detach().cpu().numpy().copy()
