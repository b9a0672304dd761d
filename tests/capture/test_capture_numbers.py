"""The program that capture writes, run in NumPy and float64, gives torch's loss, gradients, weights and slots."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from capture_cases import LOSSES, MODELS, OPTIMIZERS, Both, layers, make
from torch import nn

from hotloop.program.interpret import interpret_block
from hotloop.program.text import parse_program
from hotloop.program.verify import verify


def check_form(program):
    verify(program)
    assert parse_program(program.text) == program


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", MODELS)
def test_models(name, optimizer):
    model = make(name)
    both = Both(model, nn.CrossEntropyLoss(), OPTIMIZERS[optimizer](model.parameters()), "labels", has_validation=True)
    check_form(both.program)
    both.check()
    evaluated = interpret_block(both.program.evaluation, {**both.data, **both.weights})["loss"]
    model.eval()
    np.testing.assert_allclose(evaluated, both.loss_in_torch().item(), rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "row weights"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, weighted):
    loss, kind = LOSSES[name]
    model = make("tanh")
    both = Both(model, loss(), OPTIMIZERS["momentum"](model.parameters()), kind, weighted=weighted)
    check_form(both.program)
    both.check()


@pytest.mark.parametrize("clip", [None, 0.05, 1e6], ids=["unclipped", "clipped", "clip too large"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name, clip):
    model = make("tanh")
    both = Both(model, nn.MSELoss(), OPTIMIZERS[name](model.parameters()), "numbers", clip=clip)
    check_form(both.program)
    both.check()


def test_gradients_at_zero_are_those_of_torch():
    for activation in (nn.ReLU(), nn.LeakyReLU(), nn.ELU(0.5), nn.ELU(0.5, inplace=True), nn.GELU(), nn.SiLU()):
        model = layers(activation).double()
        with torch.no_grad():
            model[0].weight.zero_()
            model[0].bias.zero_()
        Both(model, nn.L1Loss(), torch.optim.SGD(model.parameters(), lr=0.1), "numbers").check()


def test_groups_have_their_own_rules():
    model = make("tanh")
    optimizer = torch.optim.SGD(
        [{"params": model[0].parameters(), "momentum": 0.5}, {"params": [model[2].weight], "lr": 0.3}], lr=0.1
    )
    both = Both(model, nn.MSELoss(), optimizer, "numbers")
    assert [update.weights for update in both.program.updates] == [("w0", "b0"), ("w1",)]
    assert [group.group_index for group in both.captured.groups] == [0, 1]
    # What the optimizer does not have is used, and left alone.
    assert list(both.captured.weights) == ["w0", "b0", "w1", "b1"]
    both.check()


def test_float32_programs():
    model = layers(nn.ReLU())
    from hotloop.capture import capture

    captured = capture(
        model,
        nn.MSELoss(),
        torch.optim.SGD(model.parameters()),
        n_features=4,
        target="numbers",
        has_row_weight=False,
        has_validation=False,
        ignores_labels=False,
        clip_grad_norm=None,
    )
    assert captured.program.element == "f32"
    assert captured.program.evaluation is None
    assert str(captured.program.step.types["y"]) == "f32[rows, h1=3]"
