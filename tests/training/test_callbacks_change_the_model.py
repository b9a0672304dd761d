"""Callbacks may change anything: compiled training takes new numbers, and hands anything else to eager torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import hotloop


def build():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def new_parameter(moment):
    moment.model[0].weight = nn.Parameter(moment.model[0].weight.detach() * 2)


def another_layer(moment):
    moment.model[1] = nn.Tanh()


CHANGES = {
    "freeze": lambda moment: moment.model[0].weight.requires_grad_(False),
    "another layer": another_layer,
    "a new parameter": new_parameter,
    "hook": lambda moment: moment.model[1].register_forward_hook(lambda module, x, output: output * 0.5),
    "weight decay": lambda moment: moment.optimizer.param_groups[0].update(weight_decay=0.1),
    "momentum": lambda moment: moment.optimizer.param_groups[0].update(betas=(0.4, 0.9)),
}


def train(classes, engine, change):
    X, y = classes
    model = build()

    @hotloop.callback(every=3)
    def at_epoch_3(moment):
        if moment.epoch == 3:
            change(moment)

    run = hotloop.fit(
        *(model, X.double(), y), loss=nn.CrossEntropyLoss(), optimizer=torch.optim.Adam(model.parameters(), lr=0.01),
        epochs=9, batch_size=8, seed=3, callbacks=[at_epoch_3], engine=engine,
    )  # fmt: skip
    return model, run


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_number_goes_on_in_eager_torch(classes, change):
    expected, by_eager = train(classes, "eager", CHANGES[change])
    model, run = train(classes, "auto", CHANGES[change])
    assert run.engine == "native"
    assert "went on in eager torch after epoch 3" in " ".join(run.notes)
    torch.testing.assert_close(torch.tensor(run.losses), torch.tensor(by_eager.losses), rtol=1e-12, atol=1e-13)
    for ours, eager in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-11, atol=1e-13)


def test_labels_that_are_to_be_ignored_from_now_on_are(classes):
    """What is known of the labels must not outlive them: other labels can be another program."""

    def train_with_fewer(engine):
        X, y = classes[0], classes[1].clone()
        return train((X, y), engine, lambda moment: y[:5].fill_(-100))

    expected, _ = train_with_fewer("eager")
    model, run = train_with_fewer("auto")
    assert "went on in eager torch after epoch 3" in " ".join(run.notes)
    for ours, eager in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-11, atol=1e-13)


def test_native_by_name_refuses(classes):
    with pytest.raises(hotloop.UnsupportedError, match="changed more than numbers"):
        train(classes, "native", another_layer)


def test_numbers_are_taken(classes):
    def halve(moment):
        with torch.no_grad():
            moment.model[2].weight.mul_(0.5)
        moment.optimizer.param_groups[0]["lr"] = 0.002

    expected, _ = train(classes, "eager", halve)
    model, run = train(classes, "native", halve)
    assert run.notes == ("X was converted from float32 to float64, like the model's parameters",) or not run.notes
    for ours, eager in zip(model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-11, atol=1e-13)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_very_deep_network_is_not_compiled(classes):
    X, y = classes
    layers = [layer for _ in range(60) for layer in (nn.Linear(5, 5), nn.GELU())]
    model = nn.Sequential(*layers, nn.Linear(5, 3)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    run = hotloop.fit(model, X.double(), y, loss=nn.CrossEntropyLoss(), optimizer=optimizer, epochs=1)
    assert run.engine == "eager"
    assert "this deep" in run.why
