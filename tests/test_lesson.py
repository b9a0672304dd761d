"""The lesson's figures, from table to loss: the first thing to look at when something is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import hotloop
from hotloop import tables
from hotloop.training.recipes import find_recipe
from hotloop.training.train_table import prepare_table_training


def test_the_table_gives_the_lesson_s_rows(lesson_data):
    prepared = tables.prepare(tables.read("iris"), scaling="minmax")
    X, y = lesson_data
    np.testing.assert_array_equal(prepared.X_train, X)
    np.testing.assert_array_equal(prepared.y_train, y)
    assert prepared.schema.class_names == ("setosa", "versicolor", "virginica")


def test_seed_0_gives_the_figures_of_the_seeded_torch_loop(lesson_data):
    X, y = lesson_data
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    run = hotloop.fit(model, X, y, loss=torch.nn.CrossEntropyLoss(), optimizer=optimizer, epochs=20_000)
    assert abs(run.losses[999] / 0.569962 - 1) < 1e-4
    assert abs(run.losses[-1] / 0.0619221 - 1) < 1e-4
    assert run.recorded_at[0] == 1
    assert run.recorded_at[-1] == run.epochs == len(run.losses) == 20_000
    assert (run.stopped, run.device, run.engine) == ("finished", "cpu", "native")


def test_the_recipe_takes_the_same_path_as_the_torch_loop(lesson_data):
    """One thousand epochs from the table: those of the loop on scikit-learn's arrays, bit for bit where torch runs."""
    import dataclasses

    recipe = dataclasses.replace(find_recipe(None, "iris"), epochs=1000)
    training = prepare_table_training(tables.read("iris"), recipe, seed=0)
    run, native = training.run(engine="eager"), training.run()
    X, y = (torch.tensor(array) for array in lesson_data)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 10), torch.nn.ReLU(), torch.nn.Linear(10, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_function, losses = torch.nn.CrossEntropyLoss(), []
    for _ in range(1000):
        loss = loss_function(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_array_equal(run.losses, losses)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(run.weights[name], tensor.numpy())
        np.testing.assert_allclose(native.weights[name], tensor.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(native.losses, losses, rtol=1e-5)
    assert (run.engine, native.engine) == ("eager", "native")


def test_the_command_line_gives_them_without_torch(hotloop_cli, tmp_path):
    done = hotloop_cli("train", "iris", "--seed", "0", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["engine"], document["device"], document["stopped"]) == ("native", "cpu", "finished")
    assert document["final_loss"] == pytest.approx(0.0619221, rel=1e-4)
    losses = (tmp_path / "runs/iris/losses.csv").read_text().splitlines()
    assert float(losses[1000].split(",")[1]) == pytest.approx(0.569962, rel=1e-4)
