"""Weights that are no longer finite are found even where every loss is; training goes back to the last good ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import Twins, equal, mlp, train_by_hand
from torch import nn, optim

import hotloop
from hotloop.training import history, loop


class Careless(optim.SGD):
    """Loses the first layer's bias in its nth step: the ReLU after it turns -inf into 0, and no loss tells."""

    def __init__(self, parameters, lose_at, **settings):
        super().__init__(parameters, **settings)
        self.lose_at = lose_at

    def step(self, closure=None):
        bias = self.param_groups[0]["params"][1]
        # Counted by the state, so that going back and coming by again loses it again.
        state = self.state[bias]
        state["steps"] = state.get("steps", 0) + 1
        super().step(closure)
        if state["steps"] == self.lose_at:
            with torch.no_grad():
                bias[0] = float("-inf")


def relu_network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))


def train(model, data, epochs, lose_at=0, **settings):
    optimizer = Careless(model.parameters(), lose_at, lr=0.1, momentum=0.9)
    settings = {"seed": 1, "batch_size": 8, **settings}
    run = hotloop.fit(model, *data, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=epochs, **settings)
    return run, optimizer


@pytest.mark.parametrize("interval_s", [0.0, 0.2])
@pytest.mark.parametrize("chunk_s", [0.0, 0.05])
@pytest.mark.parametrize("callbacks", [[], [lambda moment: None]])
def test_a_weight_lost_behind_finite_losses_is_found_and_its_epoch_named(
    classes, monkeypatch, interval_s, chunk_s, callbacks
):
    monkeypatch.setattr(history, "_INTERVAL_S", interval_s)
    monkeypatch.setattr(history, "_INTERVAL_PER_COPY", 0)
    monkeypatch.setattr(loop, "_CHUNK_S", chunk_s)
    model, expected = relu_network(), relu_network()
    # Five steps an epoch: step 16 is the first of the fourth epoch.
    run, _ = train(model, classes, 30, lose_at=16, callbacks=callbacks)
    assert run.stopped == "diverged"
    assert "'0.bias' is no longer finite after an update of epoch 4" in run.stopped_why
    train(expected, classes, 3)
    assert equal(model.state_dict(), expected.state_dict())
    assert np.isfinite(run.losses).all()


def test_it_is_found_long_before_the_end(classes, monkeypatch):
    monkeypatch.setattr(history, "_INTERVAL_S", 0.02)
    run, _ = train(relu_network(), classes, 1_000_000, lose_at=50, batch_size=None)
    assert run.stopped == "diverged"
    assert "epoch 50;" in run.stopped_why
    assert run.epochs < 100_000


def test_a_nan_that_comes_long_after_the_weight_was_lost_goes_back_to_before_the_loss_of_it(classes):
    class Late(Careless):
        def step(self, closure=None):
            super().step(closure)
            if self.state[self.param_groups[0]["params"][1]]["steps"] == 12:
                with torch.no_grad():
                    self.param_groups[0]["params"][3].fill_(float("nan"))

    model, expected = relu_network(), relu_network()
    optimizer = Late(model.parameters(), 7, lr=0.1)
    run = hotloop.fit(model, *classes, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=30)
    assert run.stopped == "diverged"
    assert "'0.bias'" in run.stopped_why
    assert "epoch 7;" in run.stopped_why
    plain = optim.SGD(expected.parameters(), lr=0.1)
    hotloop.fit(expected, *classes, loss=nn.CrossEntropyLoss(), optimizer=plain, epochs=6, engine="eager")
    assert equal(model.state_dict(), expected.state_dict())


def test_the_weights_kept_and_the_optimizer_s_state_are_the_loop_s_by_hand(classes):
    """In the middle of an epoch, with momentum and a schedule: where a loop stopped before that update stands."""
    X, y = classes
    twins = Twins(
        mlp,
        lambda model: optim.Adam(model.parameters(), lr=0.01),
        lambda optimizer: optim.lr_scheduler.StepLR(optimizer, 2, 0.5),
    )
    loss = nn.CrossEntropyLoss()

    def poisoned(output, target):
        # From a function of the weights alone: the parameters have moved this far from where they were at step 17.
        steps = int(twins.optimizer.state_dict()["state"].get(0, {"step": 0})["step"])
        return loss(output, target) * (float("nan") if steps == 17 else 1.0)

    run = hotloop.fit(
        *(twins.model, X, y), loss=poisoned, optimizer=twins.optimizer, schedule=twins.schedule, epochs=9,
        batch_size=8, shuffle=False,
    )  # fmt: skip
    assert run.stopped == "diverged"
    assert "became NaN in epoch 4: the weights, still finite" in run.stopped_why
    assert run.epochs == 3
    # 16 updates: three epochs of five and one step of the fourth.
    train_by_hand(
        *(twins.by_hand, X, y), loss=loss, optimizer=twins.optimizer_by_hand, schedule=twins.schedule_by_hand,
        epochs=3, batch_size=8, shuffle=False,
    )  # fmt: skip
    train_by_hand(twins.by_hand, X[:8], y[:8], loss=loss, optimizer=twins.optimizer_by_hand, epochs=1)
    twins.assert_equal()


def test_a_loss_that_is_infinite_says_so_and_a_callback_s_change_is_undone(classes):
    model = relu_network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def enlarge(moment):
        with torch.no_grad():
            moment.model[2].weight.fill_(3e38)

    run = hotloop.fit(
        *(model, *classes), loss=lambda output, y: output.sum().abs(), optimizer=optim.SGD(model.parameters(), lr=0.0),
        epochs=5, callbacks=[enlarge],
    )  # fmt: skip
    assert run.stopped == "diverged"
    assert "became infinite in epoch 2: the weights, still finite" in run.stopped_why
    assert equal(model.state_dict(), before)


def test_a_mask_of_minus_infinity_is_no_divergence(classes):
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = relu_network()
            self.register_buffer("mask", torch.tensor([0.0, 0.0, float("-inf")]))

        def forward(self, x):
            return self.inner(x).tanh() + self.mask.clamp(min=-5)

    model = Masked()
    run = hotloop.fit(
        *(model, *classes), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=5
    )
    assert run.stopped == "finished"


def test_validation_goes_back_with_the_weights(classes):
    """A validation loss of weights that are left behind is forgotten, and is not the best."""
    X, y = classes
    model = relu_network()
    run, _ = train(model, classes, 30, lose_at=16, X_val=X, y_val=y, validate_every=2)
    assert run.stopped == "diverged"
    assert run.validated_at.tolist() == [2]
    assert run.best_epoch == 2


def test_validation_that_is_nan_because_weights_are_lost_ends_training(classes):
    X, y = classes

    class Deceiving(nn.Module):
        """Hides what it lost while it trains."""

        def __init__(self):
            super().__init__()
            self.inner = relu_network()

        def forward(self, x):
            output = self.inner(x)
            return output.nan_to_num() if self.training else output

    model = Deceiving()
    optimizer = optim.SGD(model.parameters(), lr=float("inf"))
    run = hotloop.fit(*(model, X, y), loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=50, X_val=X, y_val=y)
    assert (run.stopped, run.epochs) == ("diverged", 1)
    assert "update of epoch 1" in run.stopped_why
    assert equal(model.inner.state_dict(), relu_network().state_dict())
