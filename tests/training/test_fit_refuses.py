"""Bad input: one clear error before anything is touched; odd but good input: taken as it is meant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from by_hand import equal, mlp
from torch import nn, optim

import hotloop


def refused(match, X, y, model=None, error=hotloop.ArgumentError, **settings):
    """Assert that ``fit`` raises one error that says ``match``, and that nothing was trained or called."""
    model = model if model is not None else mlp()
    before = {}
    if isinstance(model, nn.Module) and not any(map(nn.parameter.is_lazy, model.parameters())):
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    calls = []
    if "optimizer" not in settings:
        settings["optimizer"] = optim.SGD(model.parameters(), lr=0.1)
    settings = {"loss": nn.CrossEntropyLoss(), "epochs": 2, "callbacks": [calls.append], **settings}
    with pytest.raises(error, match=match) as raised:
        hotloop.fit(model, X, y, **settings)
    assert calls == []
    assert len(raised.value.one_line.splitlines()) == 1
    if before:
        assert equal(model.state_dict(), before)


SETTINGS = {
    "epochs is 0": {"epochs": 0},
    "epochs is 1.5": {"epochs": 1.5},
    "epochs is True": {"epochs": True},
    "batch_size is -1": {"batch_size": -1},
    "record_every is 0": {"record_every": 0},
    "validate_every is 0": {"validate_every": 0},
    "threads is 0": {"threads": 0},
    "seed is -1": {"seed": -1},
    "clip_grad_norm is -1": {"clip_grad_norm": -1},
    "progress is 'maybe'": {"progress": "maybe"},
    "given together": {"X_val": np.zeros((3, 5))},
    "patience needs validation rows": {"patience": 3},
    "shuffle=True needs a batch_size": {"shuffle": True},
    "callbacks must be a list": {"callbacks": print},
    "cannot be called": {"callbacks": ["print"]},
    "loss is 'mse'": {"loss": "mse"},
    r"loss is the class CrossEntropyLoss; it must be one made from it: CrossEntropyLoss\(\)": {
        "loss": nn.CrossEntropyLoss
    },
    "optimizer must be": {"optimizer": optim.SGD},
    "schedule must be": {"schedule": "cosine"},
    "drop_last=True leaves nothing": {"batch_size": 50, "drop_last": True},
    "is not a device": {"device": "gpu"},
    "unknown engine 'egaer'. Did you mean 'eager'": {"engine": "egaer"},
    "must return one number": {"loss": nn.CrossEntropyLoss(reduction="none")},
    "sample_weight cannot be used": {"loss": lambda o, t: (o**2).mean(), "sample_weight": np.ones(37)},
    "must be \\(37,\\)": {"sample_weight": np.ones((37, 1))},
    "0 or more": {"sample_weight": -np.ones(37)},
}


@pytest.mark.parametrize("match", SETTINGS)
def test_settings_that_make_no_sense(classes, match):
    refused(match, *classes, **SETTINGS[match])


def test_several_mistakes_are_reported_together(classes):
    refused("epochs is 0.*batch_size is 0.*seed is 'x'", *classes, epochs=0, batch_size=0, seed="x")


def test_models_and_optimizers_that_do_not_belong_together(classes):
    refused("must be a torch.nn.Module", *classes, model=print, optimizer=optim.SGD(mlp().parameters(), 0.1))
    refused("not the model's", *classes, optimizer=optim.SGD(mlp().parameters(), 0.1))
    refused("no parameter to train", *classes, model=mlp().requires_grad_(False))
    lazy = nn.Sequential(nn.LazyLinear(3))
    refused("lazy layers", *classes, model=lazy, optimizer=optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.1))
    other = optim.SGD(mlp().parameters(), 0.1)
    refused("another optimizer", *classes, schedule=optim.lr_scheduler.StepLR(other, 3))
    refused("cannot take X", *classes, model=mlp(n_in=4))
    refused("one row for each row", *classes, model=nn.Sequential(mlp(), nn.Flatten(0)))


def test_engines_and_devices_that_are_not_there(classes):
    refused("engine 'graph'", *classes, engine="graph", error=hotloop.UnsupportedError)
    if not torch.xpu.is_available():
        refused("there is no device 'xpu'", *classes, device="xpu", error=hotloop.DeviceError)


def with_value(X, value):
    X = X.clone()
    X[4, 2] = value
    return X


DATA = {
    "X is empty": lambda X, y: (X[:0], y[:0]),
    "y has 36 rows and X has 37": lambda X, y: (X, y[:-1]),
    "NaN .* at row 4, column 2": lambda X, y: (with_value(X, float("nan")), y),
    "infinity at row 4, column 2": lambda X, y: (with_value(X, float("-inf")), y),
    "too large for float32": lambda X, y: (with_value(X.double(), 1e300), y),
    "X holds text": lambda X, y: (X.numpy().astype(str), y),
    "y holds text": lambda X, y: (X, np.array(["a"] * 37)),
    "masked array": lambda X, y: (np.ma.masked_array(X.numpy()), y),
    "labels from 0 to 3": lambda X, y: (X, torch.where(y == 2, 3, y)),
    "labels from -1 to 2": lambda X, y: (X, torch.where(y == 0, -1, y)),
    "takes class labels": lambda X, y: (X, y + 0.5),
    "not an array of numbers|holds text": lambda X, y: ([[1, 2], [3]], y),
    "complex|layout": lambda X, y: (X.to(torch.complex64), y),
}


@pytest.mark.parametrize("match", DATA)
def test_data_that_do_not_fit(classes, match):
    refused(match, *DATA[match](*classes))


def test_numbers_too_large_for_any_element(classes):
    X, y = classes
    larger = X.numpy().astype(np.longdouble)
    larger[1] = np.longdouble("1e400")
    for model in (mlp(), mlp().double()):
        refused("infinity at row 1", larger, y, model=model)
        refused("X_val holds infinity at row 1", X, y, model=model, X_val=larger, y_val=y)


def test_a_row_of_numbers_is_never_broadcast_against_a_column(numbers):
    X, y = numbers
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.functional.mse_loss, nn.BCEWithLogitsLoss()):
        refused(r"\(rows\).*\(rows, 1\)", X, y[:, 0].sigmoid(), model=mlp(n_out=1), loss=loss)
    refused("0 to 1", X, y, model=mlp(n_out=1), loss=nn.BCEWithLogitsLoss())
    refused("(X_val|rows of shape)", X, y, model=mlp(n_out=1), loss=nn.MSELoss(), X_val=X[:, :4], y_val=y)


def test_every_kind_of_array_and_frame_is_the_same_data(classes):
    X, y = classes
    exact = (X * 8).round() / 8
    array, labels = exact.numpy(), y.numpy()
    read_only = array.copy()
    read_only.flags.writeable = False
    names = [f"x{i}" for i in range(5)]
    kinds = [
        (exact, y),
        (exact.clone().requires_grad_(), y),
        (array.tolist(), labels.tolist()),
        (read_only, labels.astype(np.uint16)),
        (array[::-1].copy()[::-1], labels[::-1].copy()[::-1]),
        (np.asfortranarray(array.astype(">f8")), labels.astype(float)),
        (array.astype(np.float16), labels.astype(np.int8)),
        (pd.DataFrame(array, columns=names), pd.Series(labels, index=np.arange(37)[::-1])),
        (pl.DataFrame(array, schema=names), pl.Series(labels)),
    ]

    def train(X, y):
        torch.manual_seed(0)
        model = mlp()
        return hotloop.fit(
            model, X, y, loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), 0.1), epochs=5, seed=0
        ).losses.tolist()

    before = exact.clone()
    expected = train(*kinds[0])
    for kind in kinds[1:]:
        assert train(*kind) == expected
    assert torch.equal(exact, before)


def test_conversions_are_said_once(classes):
    X, y = classes
    model = mlp()
    run = hotloop.fit(
        *(model, X.double(), y.int()), loss=nn.CrossEntropyLoss(), optimizer=optim.SGD(model.parameters(), 0.1),
        epochs=1, X_val=X.double(), y_val=y.int(),
    )  # fmt: skip
    assert [note.split(" was")[0] for note in run.notes] == ["X", "y"]


def test_a_callback_s_interval_must_be_a_count():
    for every in (0, -1, 1.5, True, "x"):
        with pytest.raises(hotloop.ArgumentError, match="every is"):
            hotloop.callback(every=every)
