"""What random programs have found in the comparison itself, and that it still sees what it is for."""

from __future__ import annotations

import compare
import numpy as np
import pytest
import torch
from compare import check, check_fit, check_steps
from programs import Case, build
from scales import scales_of
from torch import nn

from hotloop.compiler.target import named_target
from hotloop.engines.losses import RowLoss

# Features of 1e18, of which a layer makes a sum that nearly cancels and is then divided by: digits are lost before
# there is any gradient, and eager torch loses others.
_CANCELS = Case(
    n_features=7,
    widths=((6, False), (3, True), (9, True)),
    activations=(("Tanh", ()),),
    shape="arithmetic",
    loss="BCEWithLogitsLoss",
    loss_settings=(("pos_weight", "each"),),
    rows=298,
    scale=1e18,
    seed=534,
)
# The loss of the validation rows overflows, that of the training rows does not yet.
_OVERFLOWS = Case(
    n_features=27,
    widths=((8, True), (8, False), (8, True)),
    activations=(("GELU", ()), ("ReLU", ())),
    shape="residual",
    loss_settings=(("reduction", "sum"),),
    groups=((("lr", 0.1), ("maximize", True)),),
    schedule=True,
    weighted=True,
    rows=277,
    shuffle=False,
    validation_rows=1,
    seed=249,
)


# A tanh of nearly 1: eager torch takes its square from 1, too, after another last digit.
_SATURATES = Case(
    n_features=44,
    widths=((16, False), (2, False), (1, False), (2, False)),
    activations=(("ReLU", ()), ("Tanh", ()), ("ReLU", ())),
    loss_settings=(("reduction", "sum"),),
    optimizer="Adam",
    groups=(
        (
            ("lr", 0.1),
            ("weight_decay", 0.1),
            ("maximize", True),
            ("amsgrad", True),
            ("betas", (0.5, 0.9)),
            ("decoupled_weight_decay", True),
        ),
    ),
    schedule=True,
    weighted=True,
    rows=1,
    shuffle=False,
    dtype="float64",
)


# Weight decay cancels a gradient to a thousandth of eps: Adam's step is then all rounding error.
_DECAYS = Case(
    n_features=2,
    widths=((32, False), (1, True), (20, False)),
    activations=(("Tanh", ()),),
    shape="shared",
    loss="MSELoss",
    target="numbers",
    optimizer="Adam",
    groups=((("lr", 0.01), ("weight_decay", 0.001), ("maximize", True), ("amsgrad", True)),),
    schedule=True,
    rows=13,
    batch_size=12,
    shuffle=False,
    level="sse",
    seed=1000,
)


@pytest.mark.skipif(not named_target("sse").runs_here, reason="no x86")
def test_no_mismatch_where_weight_decay_cancels_a_gradient():
    check(_DECAYS)


def test_what_was_before_a_step_is_not_changed_by_comparing_it():
    built = build(_SATURATES)
    before = compare._Snapshot(built)
    weights = [weight.clone() for weight in before.weights]
    gradients = {id(own): np.ones(own.shape) for group in built.optimizer.param_groups for own in group["params"]}
    compare._updated(_SATURATES, built, before, gradients, None, torch.float64)
    assert all(map(torch.equal, before.weights, weights))


def test_no_mismatch_where_a_derivative_is_taken_from_one():
    check_steps(_SATURATES)


def test_no_mismatch_where_digits_are_lost_on_both_sides():
    check_steps(_CANCELS)


def test_no_mismatch_where_validation_overflows_on_both_sides():
    check_fit(_OVERFLOWS)


class _Divided(nn.Module):
    def __init__(self, divisor):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 1, dtype=torch.float64))
        self.divisor = divisor

    def forward(self, x):
        return 1.0 / (self.divisor + x @ self.weight)


def _scale(divisor, features):
    """Return the gradient of ``1 / (divisor + x @ weight)`` and its scale."""
    model, X = _Divided(divisor), torch.tensor([features], dtype=torch.float64)
    y = torch.zeros(1, 1, dtype=torch.float64)
    output = model(X)
    one = torch.ones(1, 1, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(output.sum(), [model.weight])
    loss = RowLoss.of(nn.L1Loss())
    return gradient.abs(), scales_of(model, X, y, loss, None, one, 1e-6).gradients[0]


def test_where_nothing_cancels_a_scale_is_no_more_than_the_terms():
    gradient, scale = _scale(1.0, [2.0, 3.0])
    # The loss's own gradient is counted twice, the divisor's three terms by a factor of 1 + 2.
    assert (scale <= 6 * gradient).all()


def test_a_divisor_that_cancels_counts_as_often_as_its_terms_are_larger():
    gradient, scale = _scale(1.0, [1e6, -1e6])
    # An error of 1e-12 in the divisor's terms is one of 2e-6 in the divisor 1, and twice that in its square.
    assert (scale >= 4e6 * gradient).all()
    assert (scale <= 12e6 * gradient).all()


def test_what_saturates_does_not_count_as_large():
    X = torch.full((1, 2), 1e18, dtype=torch.float64)
    model = nn.Sequential(nn.Linear(2, 1), nn.Tanh(), nn.Linear(1, 1)).double()
    with torch.no_grad():
        model[0].weight.fill_(1.0)
    one = torch.ones(1, 1, dtype=torch.float64)
    scales = scales_of(model, X, torch.zeros_like(one), RowLoss.of(nn.L1Loss()), None, one, 1e-6)
    assert scales.gradients[2].item() < 30


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 - 1e-9])
@pytest.mark.parametrize("shape", ["gated", "arithmetic"])
def test_a_slightly_wrong_gradient_behind_a_product_or_quotient_is_found(monkeypatch, shape, factor):
    case = Case(widths=((5, True), (5, True), (3, True)), activations=(("Tanh", ()),), shape=shape)
    check_steps(case)
    right = compare._native_gradients
    monkeypatch.setattr(compare, "_native_gradients", lambda session: _times(right(session), factor))
    with pytest.raises(compare.Mismatch, match="gradient of"):
        check_steps(case)


def _times(gradients, factor):
    return {key: value * factor for key, value in gradients.items()}


@pytest.mark.parametrize(
    ("ours", "expected", "close"),
    [
        ([1.0, 2.0], [1.0, 2.0 + 1e-7], True),
        ([1.0, 2.0], [1.0, 2.1], False),
        ([np.nan], [np.nan], True),
        ([1.0, np.inf], [1.0, np.nan], True),
        ([1.0, 5.0], [1.0, np.nan], False),
        ([1.0, np.nan], [1.0, 5.0], False),
        ([5e221, np.nan], [5.1e221, np.nan], True),
    ],
)
def test_numbers_that_are_not_finite_need_a_partner(ours, expected, close):
    assert compare._is_close(np.array(ours), np.array(expected)) == close
