"""The lesson's figures, from table to loss: the first thing to look at when something is wrong."""

from __future__ import annotations

import numpy as np
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
    assert (run.stopped, run.device, run.engine) == ("finished", "cpu", "eager")


def test_the_recipe_takes_the_same_path_as_the_torch_loop(lesson_data):
    """One thousand epochs from the table, bit for bit those of the loop on scikit-learn's arrays."""
    import dataclasses

    recipe = dataclasses.replace(find_recipe(None, "iris"), epochs=1000)
    run = prepare_table_training(tables.read("iris"), recipe, seed=0).run()
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
