"""Losses in primitive ops: the loss of each row, and how rows become one number.

A new loss is one function here, a row in ``capture/supported.py`` and a writer in ``capture/losses.py``.
"""

from __future__ import annotations

from hotloop.program.build import Value, apply, mean_over_features, over_rows
from hotloop.program.types import ROWS

__all__ = ["absolute", "binary_cross_entropy", "cross_entropy", "huber", "reduce_rows", "soft_cross_entropy", "squared"]


def shifted_logits(x: Value) -> tuple[Value, Value]:
    """Return the logits less the largest of their row, and the logarithm of the sum of their exponentials.

    The logarithms of the softmax are the first, of shape (rows, classes), less the second, of shape (rows,).
    """
    (classes,) = x.type.features
    # Subtracting the largest changes nothing but keeps exp from overflowing; so no gradient needs to flow through it.
    shifted = x - apply("detach", apply("largest", x, over=classes.name))
    total = apply("exp", shifted, most=0.0).sum(classes.name)
    return shifted, apply("log", total, most=float(classes.size or 1))


def cross_entropy(
    logits: Value, labels: Value, class_weight: Value | None, label_smoothing: float, ignored: int | None
) -> tuple[Value, Value | None]:
    """Cross entropy of each row, and what each row weighs.

    Parameters
    ----------
    logits : Value of shape (rows, classes)
    labels : Value of shape (rows,), i64
    class_weight : Value of shape (classes,), optional
    label_smoothing : float
        Share of the target that is spread over all classes.
    ignored : int, optional
        There are rows that do not count; their label is -1 or another that is no class.

    Returns
    -------
    loss : Value of shape (rows,)
        Already multiplied by the row's weight.
    weight : Value of shape (rows,) or None
        None: each row weighs 1.

    Notes
    -----
    Source: ``torch.nn.CrossEntropyLoss``; Szegedy et al., "Rethinking the Inception architecture", CVPR 2016.
    """
    (classes,) = logits.type.features
    shifted, log_total = shifted_logits(logits)
    is_label = apply("equal", labels, logits.block.index(classes))
    loss = log_total - apply("select", is_label, shifted, 0.0).sum(classes.name)
    weight = None
    if class_weight is not None:
        weight = apply("select", is_label, class_weight, 0.0).sum(classes.name)
        loss = weight * loss
    if label_smoothing:
        log_p = shifted - log_total
        spread = log_p if class_weight is None else class_weight * log_p
        smooth = spread.sum(classes.name) * (-label_smoothing / (classes.size or 1))
        loss = loss * (1.0 - label_smoothing) + smooth
    if ignored is not None:
        # Numbers of classes are exact in float32; the ignored label may be one of them.
        is_ignored = apply("equal", apply("to_real", labels, element=logits.block.element), float(ignored))
        loss = apply("select", is_ignored, 0.0, loss)
        weight = apply("select", is_ignored, 0.0, 1.0 if weight is None else weight)
    return loss, weight


def soft_cross_entropy(logits: Value, target: Value, class_weight: Value | None, label_smoothing: float) -> Value:
    """Cross entropy of each row against probabilities of shape (rows, classes); shape (rows,)."""
    (classes,) = logits.type.features
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / (classes.size or 1)
    shifted, log_total = shifted_logits(logits)
    log_p = shifted - log_total
    if class_weight is not None:
        log_p = class_weight * log_p
    return -(target * log_p).sum(classes.name)


def binary_cross_entropy(x: Value, target: Value, pos_weight: Value | None) -> Value:
    """Cross entropy of sigmoid(x) against targets from 0 to 1; elementwise."""
    # Two terms of one sign: no digits cancel when target is 0 or 1.
    positive = target * apply("softplus", -x)
    if pos_weight is not None:
        positive = pos_weight * positive
    return positive + (1.0 - target) * apply("softplus", x)


def squared(x: Value, target: Value) -> Value:
    """Squared difference; elementwise."""
    difference = x - target
    return difference * difference


def absolute(x: Value, target: Value) -> Value:
    """Absolute difference; elementwise."""
    return apply("abs", x - target)


def huber(x: Value, target: Value, delta: float) -> Value:
    """Half the square up to ``delta``, a line beyond; elementwise. Source: Huber, Ann. Math. Statist. 35 (1964)."""
    size = apply("abs", x - target)
    return apply("select", apply("less", size, delta), size * size * 0.5, (size - 0.5 * delta) * delta)


def reduce_rows(loss: Value, weight: Value | None, row_weight: Value | None, reduction: str) -> Value:
    """Return the loss of the batch.

    Parameters
    ----------
    loss : Value of shape (rows,) or (rows, features)
        Multiplied by ``weight`` already.
    weight : Value of shape (rows,), optional
        What each row weighs in the mean, from its class.
    row_weight : Value of shape (rows,), optional
        The caller's weight of each row; loss and mean are multiplied by it here.
    reduction : str
        "mean": divided by the weights' sum, or the number of elements; "sum": not divided.
    """
    loss = mean_over_features(loss) if reduction == "mean" else _sum_over_features(loss)
    if row_weight is not None:
        loss = loss * row_weight
        weight = row_weight if weight is None else weight * row_weight
    total = over_rows(loss)
    if reduction == "sum":
        return total
    if weight is None:
        return total / loss.block.count()
    whole = over_rows(weight)
    if row_weight is not None:
        # A batch of rows that all weigh nothing has the loss 0, and leaves the weights alone.
        whole = apply("select", apply("less", 0.0, whole), whole, 1.0)
    return total / whole


def _sum_over_features(value: Value) -> Value:
    for axis in value.type.axes:
        if axis != ROWS:
            value = value.sum(axis.name)
    return value
