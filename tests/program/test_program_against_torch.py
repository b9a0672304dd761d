"""Activations, losses and optimizers as programs, run by the interpreter, give torch's numbers in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hotloop.program import losses
from hotloop.program.activations import ACTIVATIONS
from hotloop.program.build import BlockBuilder
from hotloop.program.gradients import gradients
from hotloop.program.interpret import interpret_block
from hotloop.program.optimizers import Adam, Sgd, write_update
from hotloop.program.types import ROWS, Axis, Type

close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-14)

IN_TORCH = {
    "relu": ({}, F.relu),
    "leaky_relu": ({"negative_slope": 0.3}, F.leaky_relu),
    "elu": ({"alpha": 0.7}, F.elu),
    "gelu": ({}, F.gelu),
    "gelu_tanh": ({}, partial(F.gelu, approximate="tanh")),
    "silu": ({}, F.silu),
    "tanh": ({}, torch.tanh),
    "sigmoid": ({}, torch.sigmoid),
    "softplus": ({"beta": 1.5, "threshold": 3.0}, F.softplus),
    "identity": ({}, lambda x: x),
}


def run(element_types, write, arrays):
    """Return the result and, by name, its gradients: of a function of values, and of its mean over all inputs."""
    block = BlockBuilder("f64")
    values = {name: block.input(name, type_, "weight") for name, type_ in element_types.items()}
    result = write(**values)
    block.output("result", result)
    total = result
    for axis in result.type.axes:
        total = total.sum(axis.name)
    reals = [value for value in values.values() if value.type.element == "f64"]
    for value, gradient in zip(reals, gradients(block, total, reals), strict=True):
        if gradient is not None:
            block.output(value.name, gradient)
    return interpret_block(block.finish(), arrays)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    settings, in_torch = IN_TORCH[name]
    # Zero, where some have a kink, and ends at which careless formulas overflow.
    x = np.concatenate([np.linspace(-9, 9, 181), [0.0, 1e-9, -1e-9, 40.0, -40.0, 800.0, -800.0]])[:, None]
    shape = Type("f64", (ROWS, Axis("features", 1)))
    found = run({"x": shape}, lambda x: ACTIVATIONS[name](x, **settings), {"x": x})
    tensor = torch.tensor(x, requires_grad=True)
    expected = in_torch(tensor, **settings)
    expected.sum().backward()
    # GELU's tail is a difference of nearly equal numbers: hence the absolute part.
    close(found["result"], expected.detach().numpy())
    close(found["x"], tensor.grad.numpy())


# -- losses ----------------------------------------------------------------------------------------------------------

N_ROWS, N_OUT = 7, 3
_RANDOM = np.random.default_rng(5)
OUTPUT = _RANDOM.normal(0, 3, (N_ROWS, N_OUT))
LABELS = _RANDOM.integers(0, N_OUT, N_ROWS)
NUMBERS = OUTPUT + _RANDOM.normal(0, 2, (N_ROWS, N_OUT))
SHARES = np.abs(NUMBERS) / np.abs(NUMBERS).sum(1, keepdims=True)
ROW_WEIGHT = _RANDOM.uniform(0, 2, N_ROWS)
CLASS_WEIGHT = np.array([0.5, 2.0, 1.25])
IGNORED = np.where(np.arange(N_ROWS) % 3 == 1, -100, LABELS)
_EACH = Type("f64", (ROWS, Axis("classes", N_OUT)))
_WEIGHTS = torch.from_numpy(CLASS_WEIGHT)


def _cross(labels, **settings):
    given = {"class_weight": None, "label_smoothing": 0.0, "ignored": None, **settings}
    weight = _WEIGHTS if given["class_weight"] else None
    in_torch = partial(F.cross_entropy, weight=weight, label_smoothing=given["label_smoothing"])

    def write(x, y, class_weight):
        used = class_weight if given["class_weight"] else None
        return losses.cross_entropy(x, y, used, given["label_smoothing"], given["ignored"])

    return labels, write, in_torch


def _soft(smoothing: float, weighted: bool):
    def write(x, y, class_weight):
        return losses.soft_cross_entropy(x, y, class_weight if weighted else None, smoothing), None

    weight = _WEIGHTS if weighted else None
    return SHARES, write, partial(F.cross_entropy, weight=weight, label_smoothing=smoothing)


def _elementwise(function, in_torch, target=NUMBERS):
    return target, lambda x, y, class_weight: (function(x, y), None), in_torch


LOSSES = {
    "cross entropy": _cross(LABELS),
    "cross entropy of weighted classes": _cross(LABELS, class_weight=True),
    "cross entropy, smoothed": _cross(LABELS, label_smoothing=0.3),
    "cross entropy, smoothed and weighted": _cross(LABELS, class_weight=True, label_smoothing=0.3),
    "cross entropy, rows ignored": _cross(IGNORED, ignored=-100),
    "cross entropy, all but the kitchen sink": _cross(IGNORED, ignored=-100, class_weight=True, label_smoothing=0.1),
    "cross entropy of probabilities": _soft(0.0, False),
    "cross entropy of probabilities, smoothed and weighted": _soft(0.2, True),
    "binary cross entropy": _elementwise(
        lambda x, y: losses.binary_cross_entropy(x, y, None), F.binary_cross_entropy_with_logits, SHARES
    ),
    "squared": _elementwise(losses.squared, F.mse_loss),
    "absolute": _elementwise(losses.absolute, F.l1_loss),
    "huber": _elementwise(lambda x, y: losses.huber(x, y, 0.7), partial(F.huber_loss, delta=0.7)),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, reduction):
    target, write, in_torch = LOSSES[name]
    found = run(*_with_target(target, lambda loss, weight: losses.reduce_rows(loss, weight, None, reduction), write))
    output = torch.tensor(OUTPUT, requires_grad=True)
    expected = in_torch(output, torch.from_numpy(target), reduction=reduction)
    expected.backward()
    close(found["result"], expected.item())
    close(found["x"], output.grad.numpy())


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_weighted_rows(name):
    target, write, in_torch = LOSSES[name]

    def reduced(loss, weight):
        row_weight = loss.block.input("row_weight", Type("f64", (ROWS,)), "data")
        return losses.reduce_rows(loss, weight, row_weight, "mean")

    types, around, arrays = _with_target(target, reduced, write)
    found = run(types, around, {**arrays, "row_weight": ROW_WEIGHT})
    output = torch.tensor(OUTPUT, requires_grad=True)
    of_rows = in_torch(output, torch.from_numpy(target), reduction="none")
    of_rows = of_rows.mean(1) if of_rows.ndim == 2 else of_rows
    share = torch.from_numpy(ROW_WEIGHT)
    counts = torch.ones(N_ROWS, dtype=torch.float64)
    if target.ndim == 1:
        counts = torch.from_numpy(np.where(target < 0, 0.0, 1.0))
        if in_torch.keywords["weight"] is not None:
            counts = counts * _WEIGHTS[np.maximum(target, 0)]
    expected = (of_rows * share).sum() / (counts * share).sum()
    expected.backward()
    close(found["result"], expected.item())
    close(found["x"], output.grad.numpy())


def _with_target(target, reduced, write):
    of_target = _EACH if target.ndim == 2 else Type("i64", (ROWS,))
    types = {"x": _EACH, "y": of_target, "class_weight": Type("f64", _EACH.features)}
    return types, lambda **values: reduced(*write(**values)), {"x": OUTPUT, "y": target, "class_weight": CLASS_WEIGHT}


# -- optimizers ------------------------------------------------------------------------------------------------------

_ADAM = {"betas": (0.8, 0.99), "eps": 1e-6}
OPTIMIZERS = {
    "sgd": (Sgd(), torch.optim.SGD, {}),
    "weight decay": (Sgd(weight_decay=0.1), torch.optim.SGD, {"weight_decay": 0.1}),
    "momentum": (
        Sgd(momentum=0.9, dampening=0.2, maximize=True),
        torch.optim.SGD,
        {"momentum": 0.9, "dampening": 0.2, "maximize": True},
    ),
    "nesterov": (
        Sgd(momentum=0.9, nesterov=True, weight_decay=0.1),
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    ),
    "adam": (Adam(), torch.optim.Adam, {}),
    "adam, all settings": (
        Adam(**_ADAM, weight_decay=0.1, amsgrad=True, maximize=True),
        torch.optim.Adam,
        {**_ADAM, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
    ),
    "adam of small betas": (Adam(betas=(0.3, 0.9)), torch.optim.Adam, {"betas": (0.3, 0.9)}),
    "adamw": (Adam(weight_decay=0.1, decoupled=True), torch.optim.AdamW, {"weight_decay": 0.1}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    rule, in_torch, settings = OPTIMIZERS[name]
    random = np.random.default_rng(6)
    weight = random.normal(0, 1, 9)
    parameter = torch.nn.Parameter(torch.from_numpy(weight.copy()))
    optimizer = in_torch([parameter], lr=0.01, **settings)
    block = write_update(rule.canonical, ("w",), 9, "f64", clips=False).block
    slots = {slot: np.zeros(9) for slot in rule.slots}
    for step in range(6):
        gradient = random.normal(0, 1, 9) * 10.0 ** random.integers(-3, 3, 9)
        scalars = rule.scalars(np.array([0.01]), np.array([float(step)]))
        numbers = {name: value[0] for name, value in scalars.items()}
        new = interpret_block(block, {"weight": weight, "gradient": gradient, **slots, **numbers})
        weight, slots = new["weight"], {slot: new[slot] for slot in rule.slots}
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        close(weight, parameter.detach().numpy())
        for slot, values in slots.items():
            close(values, optimizer.state[parameter][slot].numpy())
