"""Records, validation, patience, chunks and callbacks: what happens between steps changes no step."""

from __future__ import annotations

import copy
import dataclasses
import gc
import inspect
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from by_hand import Twins, equal, mlp, train_by_hand
from torch import nn, optim

import hotloop
from hotloop.training import loop
from hotloop.training.settings import Settings


def fit(model, X, y, **settings):
    settings.setdefault("optimizer", optim.Adam(model.parameters(), lr=0.02))
    return hotloop.fit(model, X, y, **{"loss": nn.CrossEntropyLoss(), "epochs": 23, "seed": 4, **settings})


def fresh(seed=3):
    torch.manual_seed(seed)
    return mlp()


def test_settings_are_those_of_fit():
    parameters = list(inspect.signature(hotloop.fit).parameters.values())[3:]
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    assert {p.name for p in parameters} == fields.keys()
    for parameter in parameters:
        missing = parameter.default is inspect.Parameter.empty
        assert fields[parameter.name].default is (dataclasses.MISSING if missing else parameter.default)


@pytest.mark.parametrize("every", [1, 5, 23, 100])
def test_records_are_every_kth_and_the_last(classes, every):
    whole = fit(fresh(), *classes)
    run = fit(fresh(), *classes, record_every=every)
    epochs = [epoch for epoch in range(1, 24) if epoch % every == 0 or epoch == 23]
    assert run.recorded_at.tolist() == epochs
    np.testing.assert_array_equal(run.losses, whole.losses[np.array(epochs) - 1])


@pytest.mark.parametrize("chunk_s", [0.0, 1e9])
@pytest.mark.parametrize("settings", [{}, {"batch_size": 8}, {"batch_size": 8, "record_every": 4}])
def test_any_split_into_chunks_gives_the_same_bytes(classes, monkeypatch, chunk_s, settings):
    def train():
        model = fresh()
        optimizer = optim.Adam(model.parameters(), lr=0.02)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
        run = fit(model, *classes, optimizer=optimizer, schedule=schedule, **settings)
        return run, model.state_dict(), optimizer.state_dict(), schedule.state_dict()

    expected, *states = train()
    monkeypatch.setattr(loop, "_CHUNK_S", chunk_s)
    run, *others = train()
    np.testing.assert_array_equal(run.losses, expected.losses)
    assert all(map(equal, states, others))


def test_callbacks_run_at_declared_epochs_and_change_nothing(classes):
    seen = []

    @hotloop.callback(every=4)
    def every_fourth(moment):
        seen.append((moment.epoch, moment.loss, moment.validation_loss))

    each = []
    expected = fit(fresh(), *classes, batch_size=8)
    run = fit(fresh(), *classes, batch_size=8, callbacks=[every_fourth, lambda moment: each.append(moment.epoch)])
    np.testing.assert_array_equal(run.losses, expected.losses)
    assert [epoch for epoch, _, _ in seen] == [4, 8, 12, 16, 20]
    assert each == list(range(1, 24))
    assert [loss for _, loss, _ in seen] == [expected.losses[epoch - 1] for epoch, _, _ in seen]
    assert seen[0][2] is None


def test_callbacks_stand_at_whole_epochs_and_may_change_weights_and_rates(classes):
    X, y = classes
    twins = Twins(mlp, lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9))

    @hotloop.callback(every=5)
    def halve(moment):
        with torch.no_grad():
            for parameter in moment.model.parameters():
                parameter.mul_(0.5)
        moment.optimizer.param_groups[0]["lr"] *= 0.5

    loss = nn.CrossEntropyLoss()
    for _ in range(4):
        train_by_hand(twins.by_hand, X, y, loss=loss, optimizer=twins.optimizer_by_hand, epochs=5)
        halve(type("Moment", (), {"model": twins.by_hand, "optimizer": twins.optimizer_by_hand}))
    hotloop.fit(twins.model, X, y, loss=loss, optimizer=twins.optimizer, epochs=20, callbacks=[halve], engine="eager")
    twins.assert_equal()
    native = Twins(mlp, lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9))
    run = hotloop.fit(native.model, X, y, loss=loss, optimizer=native.optimizer, epochs=20, callbacks=[halve])
    assert run.engine == "native"
    assert native.optimizer.param_groups[0]["lr"] == twins.optimizer.param_groups[0]["lr"]
    for ours, eager in zip(native.model.parameters(), twins.model.parameters(), strict=True):
        torch.testing.assert_close(ours, eager)


def test_a_callback_that_raises_leaves_the_model_at_its_epoch(classes):
    def stop(moment):
        if moment.epoch == 7:
            raise RuntimeError("enough")

    model = fresh()
    with pytest.raises(RuntimeError, match="enough"):
        fit(model, *classes, callbacks=[stop])
    expected = fresh()
    fit(expected, *classes, epochs=7)
    assert equal(model.state_dict(), expected.state_dict())
    fit(model, *classes, epochs=1)  # and can be trained again


def test_validation_losses_equal_an_evaluation_by_hand(classes):
    X, y = classes
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    model[1].eval()
    modes = [module.training for module in model.modules()]
    loss, by_hand = nn.CrossEntropyLoss(), []

    def evaluate(moment):
        copied = copy.deepcopy(moment.model).eval()
        by_hand.append((moment.epoch, loss(copied(X[:9]), y[:9]).item(), moment.validation_loss))

    run = fit(model, X, y, X_val=X[:9], y_val=y[:9], validate_every=4, callbacks=[evaluate], batch_size=10)
    assert run.validated_at.tolist() == [4, 8, 12, 16, 20, 23]
    expected = {epoch: value for epoch, value, _ in by_hand}
    np.testing.assert_array_equal(run.validation_losses, [expected[epoch] for epoch in run.validated_at])
    assert by_hand[4][2] == expected[4], "a callback sees the latest validation loss"
    assert [module.training for module in model.modules()] == modes
    assert run.best_epoch == run.validated_at[np.argmin(run.validation_losses)]


def test_validation_rows_too_many_for_one_pass_give_the_same_loss(classes, monkeypatch):
    X, y = classes
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0, 0.2]), ignore_index=1)
    expected = fit(fresh(), X, y, loss=loss, X_val=X, y_val=y, epochs=3)
    monkeypatch.setattr("hotloop.engines.eager.evaluated_at_once", lambda task: 5)
    run = fit(fresh(), X, y, loss=loss, X_val=X, y_val=y, epochs=3)
    np.testing.assert_allclose(run.validation_losses, expected.validation_losses, rtol=1e-6)
    assert run.losses.tolist() == expected.losses.tolist()


@pytest.mark.parametrize("validate_every", [1, 3])
def test_patience_stops_and_brings_the_best_weights_back(classes, validate_every):
    X, y = classes
    wrong = (y + 1) % 3  # learning the training rows makes these worse, sooner or later
    weights = {}

    def keep(moment):
        weights[moment.epoch] = copy.deepcopy(moment.model.state_dict())

    model = fresh()
    val = {"X_val": X[:20], "y_val": wrong[:20], "validate_every": validate_every}
    run = fit(model, X, y, epochs=300, patience=6, callbacks=[keep], **val)
    best = int(run.validated_at[np.argmin(run.validation_losses)])
    assert run.stopped == "patience"
    assert run.best_epoch == best
    assert run.epochs - best == 6
    assert equal(model.state_dict(), weights[best])
    assert equal({k: torch.from_numpy(v) for k, v in run.weights.items()}, dict(weights[best]))
    without = fit(fresh(), X, y, epochs=run.epochs, **val)
    np.testing.assert_array_equal(without.losses, run.losses)
    assert without.stopped == "finished"


def test_patience_keeps_the_best_also_where_the_epochs_end_first(classes):
    X, y = classes
    model = fresh()
    best = {}

    def keep(moment):
        if moment.epoch == 1:
            best.update(copy.deepcopy(moment.model.state_dict()))

    val = {"X_val": X[:20], "y_val": (y[:20] + 1) % 3}
    run = fit(model, X, y, epochs=9, patience=50, callbacks=[keep], optimizer=optim.SGD(model.parameters(), 0.5), **val)
    assert (run.stopped, run.best_epoch) == ("finished", 1)
    assert equal(model.state_dict(), best)


def test_probabilities_validate_what_labels_train(classes):
    """Compiled code takes one kind of target: eager torch takes over, and y_val is not read as labels."""
    X, y = classes
    y_val = torch.full((9, 3), 1 / 3)
    model = fresh()
    run = fit(model, X, y, X_val=X[:9], y_val=y_val, epochs=3)
    assert (run.engine, "another kind" in run.why) == ("eager", True)
    expected = nn.functional.cross_entropy(model(X[:9]), y_val).item()
    assert run.validation_losses[-1] == pytest.approx(expected, rel=1e-6)
    with pytest.raises(hotloop.UnsupportedError, match="y_val"):
        fit(fresh(), X, y, X_val=X[:9], y_val=y_val, engine="native")


@pytest.mark.no_cover
@pytest.mark.slow
def test_many_threads_at_once_equal_one_after_the_other(classes):
    X, y = classes

    def train(seed):
        model = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 3))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape) / (seed + 1))
        run = fit(model, X, y, batch_size=8, seed=seed, threads=1, X_val=X, y_val=y, patience=5)
        return run.losses.tolist(), [p.tolist() for p in model.parameters()]

    expected = [train(seed) for seed in range(8)]
    before = torch.get_num_threads()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(train, range(8))) == expected
    assert torch.get_num_threads() == before


def test_one_model_is_not_trained_twice_at_once(classes):
    model = fresh()

    def again(moment):
        fit(model, *classes)

    with pytest.raises(hotloop.ArgumentError, match="another thread"):
        fit(model, *classes, callbacks=[again])
    assert fit(model, *classes, epochs=1).epochs == 1


def test_threads_hold_while_training_and_are_put_back(classes):
    before, inside = torch.get_num_threads(), []
    model = fresh()
    model.register_forward_hook(lambda *_: inside.append(torch.get_num_threads()))
    fit(model, *classes, epochs=2, threads=before + 1)
    assert set(inside) == {before + 1}
    assert torch.get_num_threads() == before


def test_small_steps_use_one_thread_and_large_ones_torch_s_number(classes):
    X, y = classes
    inside = {}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for width in (8, 2000):
            model = nn.Sequential(nn.Linear(5, width), nn.ReLU(), nn.Linear(width, 3))
            model.register_forward_hook(lambda *_, width=width: inside.update({width: torch.get_num_threads()}))
            fit(model, X, y, epochs=1)
        assert inside == {8: 1, 2000: 2}
    finally:
        torch.set_num_threads(before)


def test_the_run_is_plain_data_that_says_what_happened(classes):
    model = fresh()
    run = fit(model, *classes, batch_size=8)
    assert (run.engine, run.device, run.stopped, run.epochs) == ("native", "cpu", "finished", 23)
    assert 0 < run.prepare_s < 60
    assert fit(fresh(), *classes, batch_size=8, engine="eager").prepare_s == 0
    assert "cpu, since" in run.why
    assert 0 < run.duration_s < 60
    assert run.settings["optimizer"] == "Adam"
    assert run.settings["loss"] == "CrossEntropyLoss"
    assert run.network is not None
    assert str(run.network) == "5-8-3"
    assert "23" in str(run)
    before = run.weights["0.weight"].copy()
    with torch.no_grad():
        model[0].weight.zero_()
    np.testing.assert_array_equal(run.weights["0.weight"], before)


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_settings_are_those_at_the_end_of_the_run(classes, engine):
    model, loss = fresh(), nn.CrossEntropyLoss(weight=torch.ones(3), label_smoothing=0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    run = fit(model, *classes, loss=loss, optimizer=optimizer, epochs=3, engine=engine)
    optimizer.param_groups[0]["lr"], loss.label_smoothing, loss.reduction = 7.0, 0.2, "sum"
    loss.weight.fill_(3)
    optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(1))]})
    told = {name: run.settings[f"optimizer_{name}"] for name in ("lr", "momentum", "groups")}
    assert told == {"lr": 0.5, "momentum": 0.9, "groups": 1}
    told = {name: run.settings[f"loss_{name}"] for name in ("weight", "label_smoothing", "reduction")}
    assert told == {"weight": [1.0, 1.0, 1.0], "label_smoothing": 0.1, "reduction": "mean"}
    told = [run.settings[name] for name in ("rows", "row_shape", "row_dtype")]
    assert told == [len(classes[0]), [5], "float32"]


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_settings_are_those_that_a_schedule_has_left(classes, engine):
    loss = nn.CrossEntropyLoss()
    model = fresh()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

    def rate(epoch):
        loss.label_smoothing = 0.1 * min(epoch, 2)
        return 1.0

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    run = fit(model, *classes, loss=loss, optimizer=optimizer, epochs=4, schedule=schedule, engine=engine)
    assert run.settings["loss_label_smoothing"] == 0.2


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_a_run_keeps_neither_rows_nor_model(classes, engine):
    X, y = (rows.clone() for rows in classes)
    model = fresh()
    optimizer = optim.SGD(model.parameters(), lr=torch.tensor(0.1))
    optimizer.param_groups[0].update(owner=optimizer, saved=[torch.zeros(9)])
    run = fit(model, X, y, optimizer=optimizer, engine=engine)
    alive = [weakref.ref(each) for each in (X, y, model, model[0].weight, optimizer)]
    del X, y, model, optimizer
    gc.collect()
    assert [ref() for ref in alive] == [None] * 5
    assert run.settings["rows"] == len(classes[0])
    assert run.weights["0.weight"].shape == (8, 5)
