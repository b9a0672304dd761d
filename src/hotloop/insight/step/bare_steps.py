"""A training step of dense layers in bare tensor operations: no modules, no autograd, no optimizer object.

Written so that TorchScript takes it as it stands: the same step then runs with Python and without. The gradients are
those of textbooks; a test compares them with autograd's.
"""

import math

import torch
from torch import Tensor

__all__ = ["ACTIVATIONS", "LOSSES", "adam_epoch", "gradients", "sgd_epoch"]

ACTIVATIONS = ("relu", "tanh", "sigmoid", "identity")
"""Whose gradients are written down here; the same one between all layers."""

LOSSES = ("CrossEntropyLoss", "MSELoss")
"""The same for losses, with the mean over a batch."""


def gradients(
    X: Tensor, y: Tensor, weights: list[Tensor], biases: list[Tensor], activation: str, loss: str
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return the loss and its gradients with respect to weights and biases.

    Parameters
    ----------
    X : float32 tensor of shape (rows, features)
    y : int64 tensor of shape (rows,), or float32 of shape (rows, outputs)
    weights, biases : lists of tensors of shapes (n_out, n_in) and (n_out,)
    activation, loss : str
        Names in :data:`ACTIVATIONS` and :data:`LOSSES`.
    """
    inputs = [X]
    output = torch.addmm(biases[0], X, weights[0].t())
    for k in range(1, len(weights)):
        hidden = output
        if activation == "relu":
            hidden = torch.relu(output)
        elif activation == "tanh":
            hidden = torch.tanh(output)
        elif activation == "sigmoid":
            hidden = torch.sigmoid(output)
        inputs.append(hidden)
        output = torch.addmm(biases[k], hidden, weights[k].t())
    if loss == "CrossEntropyLoss":
        labels = y.unsqueeze(1)
        logarithms = torch.log_softmax(output, 1)
        value = torch.gather(logarithms, 1, labels).mean().neg()
        grad = torch.exp(logarithms).scatter_add(1, labels, torch.full_like(labels, -1, dtype=output.dtype))
        grad = grad.div_(output.size(0))
    else:
        difference = output - y
        value = (difference * difference).mean()
        grad = difference * (2.0 / difference.numel())
    weight_grads: list[Tensor] = []
    bias_grads: list[Tensor] = []
    for j in range(len(weights)):
        k = len(weights) - 1 - j
        weight_grads.insert(0, torch.mm(grad.t(), inputs[k]))
        bias_grads.insert(0, grad.sum(0))
        if k > 0:
            hidden = inputs[k]
            grad = torch.mm(grad, weights[k])
            if activation == "relu":
                grad = grad * (hidden > 0)
            elif activation == "tanh":
                grad = grad * (1.0 - hidden * hidden)
            elif activation == "sigmoid":
                grad = grad * hidden * (1.0 - hidden)
    return value, weight_grads, bias_grads


def sgd_epoch(
    X: Tensor,
    y: Tensor,
    order: Tensor,
    batch_size: int,
    n_steps: int,
    weights: list[Tensor],
    biases: list[Tensor],
    activation: str,
    loss: str,
    lr: float,
) -> list[float]:
    """Do steps of plain SGD in place and return their losses.

    Parameters
    ----------
    order : int64 tensor of shape (rows,)
        Rows of the batches one after the other; empty for the order in which they stand.
    batch_size, n_steps : int
    lr : float
    """
    losses: list[float] = []
    for step in range(n_steps):
        Xb, yb = X, y
        if order.numel() > 0:
            at = order[step * batch_size : (step + 1) * batch_size]
            Xb, yb = X.index_select(0, at), y.index_select(0, at)
        elif batch_size < X.size(0):
            Xb, yb = X[step * batch_size : (step + 1) * batch_size], y[step * batch_size : (step + 1) * batch_size]
        value, weight_grads, bias_grads = gradients(Xb, yb, weights, biases, activation, loss)
        for k in range(len(weights)):
            weights[k].sub_(weight_grads[k], alpha=lr)
            biases[k].sub_(bias_grads[k], alpha=lr)
        losses.append(float(value.item()))
    return losses


def adam_epoch(
    X: Tensor,
    y: Tensor,
    order: Tensor,
    batch_size: int,
    n_steps: int,
    weights: list[Tensor],
    biases: list[Tensor],
    activation: str,
    loss: str,
    lr: float,
    first: list[Tensor],
    second: list[Tensor],
    steps_done: int,
    beta1: float,
    beta2: float,
    eps: float,
) -> list[float]:
    """Do steps of Adam in place and return their losses; see :func:`sgd_epoch`.

    Parameters
    ----------
    first, second : lists of tensors
        Moments of the weights, then of the biases.
    steps_done : int
        Before these.
    """
    losses: list[float] = []
    for step in range(n_steps):
        Xb, yb = X, y
        if order.numel() > 0:
            at = order[step * batch_size : (step + 1) * batch_size]
            Xb, yb = X.index_select(0, at), y.index_select(0, at)
        elif batch_size < X.size(0):
            Xb, yb = X[step * batch_size : (step + 1) * batch_size], y[step * batch_size : (step + 1) * batch_size]
        value, weight_grads, bias_grads = gradients(Xb, yb, weights, biases, activation, loss)
        count = steps_done + step + 1
        step_size = lr / (1.0 - beta1**count)
        root = math.sqrt(1.0 - beta2**count)
        parameters = weights + biases
        grads = weight_grads + bias_grads
        for k in range(len(parameters)):
            first[k].lerp_(grads[k], 1.0 - beta1)
            second[k].mul_(beta2).addcmul_(grads[k], grads[k], value=1.0 - beta2)
            parameters[k].addcdiv_(first[k], second[k].sqrt().div_(root).add_(eps), value=-step_size)
        losses.append(float(value.item()))
    return losses
