"""Monitors see what torch computes, leave models as they were, and know what they cost."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import torch

import hotloop
from hotloop.errors import ArgumentError
from hotloop.insight.monitoring.cost import measure_cost
from hotloop.insight.monitoring.hooks import MonitorHooks
from hotloop.insight.monitoring.records import GradientNorms
from hotloop.insight.monitoring.running_statistics import RunningActivations, RunningActivity, RunningNorms


def mlp(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))


def rows(n=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype("float32")
    return X, (X[:, 0] > 0).astype("int64")


def train(model, epochs=6, **options):
    X, y = rows()
    return hotloop.fit(
        model,
        X,
        y,
        loss=torch.nn.CrossEntropyLoss(),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        epochs=epochs,
        **options,
    )


def test_a_record_holds_what_a_loop_by_hand_computes():
    model, twin = mlp(), mlp()
    X, y = rows()
    with hotloop.monitor(model, every=2) as watch:
        run = train(model, callbacks=[watch])
    assert [record.epoch for record in watch.records] == [2, 4, 6]
    assert [record.loss for record in watch.records] == [run.losses[k] for k in (1, 3, 5)]
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    outputs, norms = [], []
    for _ in range(2):
        outputs.append(twin[1](twin[0](torch.tensor(X))))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin[2](outputs[-1]), torch.tensor(y)).backward()
        norms.append(twin[0].weight.grad.norm().item())
        optimizer.step()
    seen = watch.records[0].activations["1"]
    both = torch.stack(outputs).detach().double()
    assert seen.mean == pytest.approx(both.mean().item(), rel=1e-5)
    assert seen.std == pytest.approx(both.std(correction=0).item(), rel=1e-5)
    assert (seen.least, seen.largest) == pytest.approx((0, both.max().item()))
    assert seen.zeros == pytest.approx((both == 0).double().mean().item())
    assert seen.calls == 2
    expected = GradientNorms(norms[1], sum(norms) / 2, max(norms), 2)
    assert vars(watch.records[0].gradients["0.weight"]) == pytest.approx(vars(expected), rel=1e-5)


def test_monitoring_changes_no_number_and_is_named_as_the_reason_for_eager():
    watched, plain = mlp(), mlp()
    with hotloop.monitor(watched) as watch:
        run = train(watched, callbacks=[watch])
    reference = train(plain, engine="eager")
    assert run.losses.tolist() == reference.losses.tolist()
    assert run.engine == "eager"
    assert "hooks" in run.why
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), plain.parameters(), strict=True))


def test_removing_leaves_the_model_as_before():
    model = mlp()
    own = model[0].register_forward_hook(lambda module, args, output: None)
    model[2].bias.register_post_accumulate_grad_hook(lambda parameter: None)
    before = [copy.copy(module._forward_hooks) for module in model.modules()]
    on_bias = dict(model[2].bias._post_accumulate_grad_hooks)
    watch = hotloop.monitor(model)
    assert [module._forward_hooks for module in model.modules()] != before
    watch.remove()
    watch.remove()
    assert [module._forward_hooks for module in model.modules()] == before
    assert dict(model[2].bias._post_accumulate_grad_hooks) == on_bias
    assert model[0].weight._post_accumulate_grad_hooks is None
    own.remove()
    with pytest.raises(ArgumentError, match="has been removed"):
        watch.record()


def test_afterwards_the_model_is_compiled_again():
    model = mlp()
    with hotloop.monitor(model):
        pass
    assert train(model).engine == "native"


def test_dead_units_are_those_that_no_row_wakes():
    model = mlp()
    with torch.no_grad():
        model[0].weight[[3, 7]] = 0
        model[0].bias[[3, 7]] = -1
    with hotloop.monitor(model, gradients=False, activations=False) as watch:
        train(model, epochs=1, callbacks=[watch], batch_size=16, seed=0)
    record = watch.records[-1]
    assert (record.dead_units["1"].units, set(record.dead_units["1"].which) >= {3, 7}) == (10, True)
    assert record.gradients == record.activations == {}


def test_a_unit_that_was_active_once_is_not_dead():
    activity = RunningActivity(None)
    activity.see(torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    activity.see(torch.tensor([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
    assert vars(activity.taken()) == {"dead": 2, "units": 3, "which": (0, 2)}
    assert activity.taken() is None


@pytest.mark.parametrize(
    ("shape", "channel_axis", "units"),
    [((5,), None, 5), ((2, 5), 1, 5), ((2, 3, 5), None, 5), ((2, 3, 5), 1, 3), ((2, 3, 5, 5), None, 3)],
)
def test_units_are_features_or_channels(shape, channel_axis, units):
    activity = RunningActivity(channel_axis)
    activity.see(torch.ones(shape))
    assert activity.taken().units == units


def test_calls_without_gradients_and_copies_do_not_count():
    model = mlp()
    with hotloop.monitor(model, gradients=False) as watch:
        with torch.no_grad():
            model(torch.ones(2, 4))
        copy.deepcopy(model)(torch.ones(2, 4))
        record = watch.record()
    assert record.activations == record.dead_units == {}
    X, y = rows()
    with hotloop.monitor(model) as watch:
        train(model, epochs=3, callbacks=[watch], X_val=X, y_val=y)
    assert {seen.calls for seen in watch.records[-1].activations.values()} == {1}


def test_leaving_the_block_keeps_what_no_record_holds_yet():
    model = mlp()
    with hotloop.monitor(model) as watch:
        model(torch.ones(2, 4)).sum().backward()
    assert [record.epoch for record in watch.records] == [None]
    assert watch.records[0].gradients["2.bias"].last == pytest.approx(math.sqrt(12))


def test_running_statistics_are_those_of_all_numbers_at_once():
    running, parts = RunningActivations(), []
    generator = torch.Generator().manual_seed(0)
    for n in (1, 7, 300, 2):
        for _ in range(100):
            parts.append(torch.randn(n, generator=generator) * n + n)
            running.see(parts[-1])
    whole = torch.cat(parts).double()
    seen = running.taken()
    assert seen.mean == pytest.approx(whole.mean().item(), rel=1e-5)
    assert seen.std == pytest.approx(whole.std(correction=0).item(), rel=1e-5)
    assert (seen.least, seen.largest, seen.calls) == (whole.min().item(), whole.max().item(), 400)
    assert len(running._pending) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_shown_and_json_stays_valid(bad):
    model = mlp()
    with torch.no_grad():
        model[2].bias[0] = bad
    with hotloop.monitor(model) as watch:
        torch.nn.functional.cross_entropy(model(torch.ones(2, 4)), torch.tensor([0, 1])).backward()
        record = watch.record(epoch=1, loss=bad)
    assert not math.isfinite(record.activations["2"].largest)
    assert not math.isfinite(record.gradients["0.weight"].last)
    document = json.loads(json.dumps(watch.to_json(), allow_nan=False))
    assert document["records"][0]["activations"]["2"]["largest"] is None
    assert document["records"][0]["loss"] is None
    assert ("nan" in str(watch)) or ("inf" in str(watch))


def test_sparse_gradients_are_measured():
    norms = RunningNorms()
    table = torch.nn.Embedding(5, 2, sparse=True)
    table(torch.tensor([1, 1, 3])).sum().backward()
    norms.see(table.weight.grad)
    assert norms.taken().last == pytest.approx(math.sqrt(2 * 4 + 2))


def test_records_are_thinned_and_pending_figures_are_bounded(monkeypatch):
    monkeypatch.setattr("hotloop.insight.monitoring.monitor._MOST_RECORDS", 8)
    model = mlp()
    watch = hotloop.monitor(model)
    for epoch in range(1, 101):
        model(torch.ones(1, 4)).sum().backward()
        watch.record(epoch=epoch)
    watch.remove()
    assert 4 <= len(watch.records) < 8
    steps = [record.gradients["0.bias"].passes for record in watch.records]
    epochs = [record.epoch for record in watch.records]
    assert steps[-1] == epochs[-1] - epochs[-2]
    norms, activations = RunningNorms(), RunningActivations()
    for _ in range(1000):
        norms.see(torch.ones(3))
        activations.see(torch.ones(3))
        assert len(norms._pending) < 300
        assert len(activations._pending) < 300


def test_parameters_that_are_not_trained_and_modules_without_numbers_are_left_out():
    model = torch.nn.Sequential(torch.nn.Embedding(4, 2), torch.nn.Flatten(), torch.nn.Linear(4, 1))
    model[0].weight.requires_grad_(False)
    with hotloop.monitor(model) as watch:
        model(torch.tensor([[0, 1]])).sum().backward()
        record = watch.record()
    assert set(record.gradients) == {"2.weight", "2.bias"}
    assert set(record.activations) == {"0", "1", "2"}


def test_a_known_cost_is_found():
    # A clock that moves by 100 us a step and 40 us more with hooks.
    now, attached = [0.0], [False]

    class Hooks(MonitorHooks):
        def attach(self):
            attached[0] = True
            now[0] += 1.0

        def remove(self):
            attached[0] = False

    model = torch.nn.Linear(1, 1)

    def loss(output, y):
        now[0] += 140e-6 if attached[0] else 100e-6
        return output.sum()

    hooks = Hooks(model, True, True, True)
    cost = measure_cost(model, hooks, (torch.ones(1, 1), None, loss), 40.0, clock=lambda: now[0])
    assert cost.added_us.value == pytest.approx(40)
    assert cost.without_us.value == pytest.approx(100)
    assert cost.ratio.low > 1.39
    assert model.weight.grad is None


def test_the_cost_is_measured_and_leaves_model_and_monitor_alone():
    model = mlp()
    X, y = (torch.tensor(part) for part in rows())
    before = copy.deepcopy(model.state_dict())
    with hotloop.monitor(model) as watch:
        model(X).sum().backward()
        cost = watch.cost(X, y, torch.nn.CrossEntropyLoss(), seconds=3)
        record = watch.record()
    assert record.activations["0"].calls == 1
    assert record.gradients["0.weight"].passes == 1
    assert cost.blocks >= 5
    assert cost.with_us.value > cost.without_us.value
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ArgumentError, match="too short"):
        watch.cost(X, y, torch.nn.CrossEntropyLoss(), seconds=1e-9)


def test_the_cost_takes_arrays_as_fit_does():
    X, y = rows()
    model, now = mlp(), [0.0]
    hooks = MonitorHooks(model, True, True, True)

    def loss(output, y):
        now[0] += 1e-3
        return torch.nn.functional.cross_entropy(output, y)

    for x, labels in ((X.astype("float64"), y.astype("int32")), (torch.tensor(X), y)):
        cost = measure_cost(model, hooks, (x, labels, loss), 0.5, clock=lambda: now[0])
        assert cost.without_us.value == pytest.approx(1000)
    with pytest.raises(ArgumentError, match="x holds NaN"):
        measure_cost(model, hooks, (X * np.nan, y, loss), 1.0)


def test_a_batch_that_does_not_fit_is_refused():
    model = mlp()
    X, y = rows()
    with hotloop.monitor(model) as watch:
        for batch in ((X[:, :3], y), (X.tolist(), y), (X, "labels")):
            with pytest.raises(ArgumentError, match="a step with this x and y fails"):
                watch.cost(*batch, torch.nn.CrossEntropyLoss())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_text_fits_and_names_what_it_shows():
    model = mlp()
    watch = hotloop.monitor(model)
    assert str(watch) == "No records yet."
    model(torch.ones(2, 4)).sum().backward()
    watch.record(epoch=12, loss=0.5)
    lines = str(watch).splitlines()
    assert lines[0] == "record 1, epoch 12, loss 0.5"
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("1 ") and line.endswith("/10") for line in lines)
    assert any(line.startswith("0.weight") for line in lines)


def test_mistakes_are_refused():
    with pytest.raises(ArgumentError, match=r"must be a torch.nn.Module"):
        hotloop.monitor(3)
    with pytest.raises(ArgumentError, match="every"):
        hotloop.monitor(mlp(), every=0)
    watch = hotloop.monitor(mlp())
    with pytest.raises(ArgumentError, match="another model"):
        train(mlp(1), callbacks=[watch])
