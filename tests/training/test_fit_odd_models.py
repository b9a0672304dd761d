"""Models that are nearly plain: what they hold beside their layers, whose forward was replaced, whose memory is odd."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

import hotloop
from hotloop.errors import ArgumentError

ROWS = 30


def rows():
    torch.manual_seed(0)
    return torch.randn(ROWS, 4), torch.randint(3, (ROWS,))


def plain():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def fit(model, loss=None, **settings):
    X, y = rows()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return hotloop.fit(model, X, y, loss=loss or nn.CrossEntropyLoss(), optimizer=optimizer, epochs=5, **settings)


class Noisy(nn.Module):
    """A loss that trains a parameter which the model holds."""

    def __init__(self, model):
        super().__init__()
        self.held = (model,)

    def forward(self, output, y):
        log_sigma = self.held[0].log_sigma
        return nn.functional.cross_entropy(output, y) * torch.exp(-log_sigma).sum() + log_sigma.sum()


@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_a_parameter_beside_the_layers_is_the_models(engine):
    model = plain()
    model.log_sigma = nn.Parameter(torch.ones(1))
    run = fit(model, Noisy(model), engine=engine)
    assert run.engine == "eager"
    assert model.log_sigma.item() != 1.0


@pytest.mark.parametrize(
    "extend",
    [
        lambda model: model.register_parameter("extra", nn.Parameter(torch.ones(2))),
        lambda model: model[1].register_parameter("extra", nn.Parameter(torch.ones(2))),
        lambda model: setattr(model[1], "child", nn.Linear(2, 2)),
        lambda model: setattr(model[1], "child", nn.BatchNorm1d(2)),
    ],
)
def test_what_a_sequential_holds_beside_its_layers_is_kept_and_saved(extend):
    model, twin = plain(), plain()
    for each in (model, twin):
        extend(each)
    run = fit(model)
    assert run.network is None
    assert run.weights.keys() == model.state_dict().keys()
    expected = fit(twin, engine="eager")
    np.testing.assert_allclose(run.losses, expected.losses, rtol=1e-5)


def test_a_parameter_beside_the_layers_must_be_where_they_are():
    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.register_parameter("extra", nn.Parameter(torch.ones(2, device="meta"), requires_grad=False))
    with pytest.raises(ArgumentError, match="spread over cpu, meta"):
        hotloop.fit(model, *rows(), loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1)


def tenfold(own):
    @functools.wraps(own)
    def forward(self, x):
        return 10 * own(self, x)

    return forward


@pytest.mark.parametrize(
    ("kind", "replaced"),
    [
        (nn.Linear, tenfold(nn.Linear.forward)),
        (nn.ReLU, nn.Tanh.forward),
        (nn.Sequential, tenfold(nn.Sequential.forward)),
    ],
)
def test_a_class_whose_forward_was_replaced_does_what_it_now_does(monkeypatch, kind, replaced):
    monkeypatch.setattr(kind, "forward", replaced)
    X, y = rows()
    expected = nn.functional.cross_entropy(plain()(X), y).item()
    assert fit(plain()).losses[0] == pytest.approx(expected, rel=1e-5)


def test_a_forward_that_is_no_function_is_not_read():
    class Odd(nn.Linear):
        pass

    Odd.forward = property(lambda self: lambda x: nn.functional.linear(x, self.weight, self.bias))
    assert fit(Odd(4, 3), engine="eager").epochs == 5


@pytest.mark.parametrize("make", [torch.jit.script, lambda model: torch.jit.trace(model, rows()[0])])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_model_is_trained_eagerly(make):
    run = fit(make(plain()))
    assert run.engine == "eager"
    np.testing.assert_allclose(run.losses, fit(plain(), engine="eager").losses, rtol=1e-5)


def test_a_parameter_that_negates_its_memory_is_trained_eagerly():
    model, twin = plain(), plain()
    model[0].weight = nn.Parameter(torch._neg_view(-model[0].weight.detach()))
    run, expected = fit(model), fit(twin, engine="eager")
    assert run.engine == "eager"
    assert "negates its numbers" in run.why
    np.testing.assert_array_equal(run.losses, expected.losses)
    torch.testing.assert_close(model[0].weight.resolve_neg(), twin[0].weight)


def test_a_parameter_without_memory_is_refused():
    model = plain()
    model[0].weight.untyped_storage().resize_(0)
    with pytest.raises(ArgumentError, match=r"'0.weight' has no memory"):
        fit(model)


@pytest.mark.parametrize("other", [torch.zeros(5, 2, dtype=torch.float64), torch.zeros(1, 2), torch.zeros(5, 4)])
def test_memory_that_a_schedule_gives_a_parameter_is_left_alone(other):
    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def rate(epoch):
        if epoch == 2:
            model[0].weight.data = other
        return 1.0

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    settings = {"loss": nn.CrossEntropyLoss(), "optimizer": optimizer, "schedule": schedule, "epochs": 5}
    hotloop.fit(model, *rows(), engine="native", **settings)
    assert model[0].weight.dtype == other.dtype
    assert not model[0].weight.any()


def test_what_a_callback_does_to_the_tensors_given_is_not_done_to_the_rows():
    X, y = rows()
    expected = fit(plain(), engine="eager").losses

    def take_away(moment):
        X.data, y.data = torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)

    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    settings = {"loss": nn.CrossEntropyLoss(), "optimizer": optimizer, "callbacks": [take_away], "epochs": 5}
    np.testing.assert_array_equal(hotloop.fit(model, X, y, engine="eager", **settings).losses, expected)


def test_one_column_may_be_reversed():
    column = np.array([[3.0], [2.0], [1.0]], dtype=np.float32)
    losses = []
    for given in (column, column[:, ::-1]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(1, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        run = hotloop.fit(model, given, given, loss=nn.MSELoss(), optimizer=optimizer, epochs=2)
        losses.append(run.losses.tolist())
    assert losses[0] == losses[1]
    assert (
        hotloop.fit(model, column[:1][::-1], column[:1], loss=nn.MSELoss(), optimizer=optimizer, epochs=1).epochs == 1
    )


def test_rows_may_be_a_view_that_negates():
    X, y = rows()
    losses = []
    for given in (X, torch._neg_view(-X)):
        model = plain()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = hotloop.fit(model, given, y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=3)
        losses.append(run.losses.tolist())
    assert losses[0] == losses[1]
