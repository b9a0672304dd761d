"""``hotloop train`` on the CPU runs layer specs natively, without torch: the same numbers and the same services."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import hotloop
from hotloop import tables
from hotloop.errors import ArgumentError, SavedRunError
from hotloop.training import train_table
from hotloop.training.recipes import RECIPES, find_recipe
from hotloop.training.train_table import prepare_table_training

IRIS, TABULAR = find_recipe(None, "iris"), RECIPES["tabular"]


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """A regression table with a category and some holes."""
    random = np.random.default_rng(0)
    x = random.normal(size=(203, 3))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "town": np.where(x[:, 2] > 0, "north", "south")})
    frame = frame.with_columns(b=pl.when(pl.col("a") > 1.5).then(None).otherwise(pl.col("b")))
    frame = frame.with_columns(y=x @ [1.0, -2.0, 0.5] + 0.1 * random.normal(size=203))
    path = tmp_path_factory.mktemp("numbers") / "numbers.csv"
    frame.write_csv(path)
    return tables.read(path)


def both(table, recipe, **options):
    """The same training natively and by eager torch."""
    training = prepare_table_training(table, recipe, seed=3)
    native, eager = training.run(**options), training.run(**options, engine="eager")
    assert (native.engine, eager.engine) == ("native", "eager")
    return native, eager


def assert_same(native, eager, rtol=2e-4):
    np.testing.assert_array_equal(native.recorded_at, eager.recorded_at)
    np.testing.assert_allclose(native.losses, eager.losses, rtol=rtol)
    np.testing.assert_array_equal(native.validated_at, eager.validated_at)
    np.testing.assert_allclose(native.validation_losses, eager.validation_losses, rtol=rtol)
    assert native.weights.keys() == eager.weights.keys()
    for name, value in native.weights.items():
        assert value.dtype == np.float32
        np.testing.assert_allclose(value, eager.weights[name], rtol=5e-3, atol=5e-4)
    same = ("epochs", "best_epoch", "stopped", "stopped_why", "seed", "device", "network", "metrics")
    for name in same:
        assert getattr(native, name) == pytest.approx(getattr(eager, name)) if name == "metrics" else True
        assert name == "metrics" or getattr(native, name) == getattr(eager, name), name
    listed = {"loss", "optimizer", "optimizer_lr", "optimizer_weight_decay", "batch_size", "rows", "shuffle", "hidden"}
    assert {name: native.settings[name] for name in listed} == {name: eager.settings[name] for name in listed}
    assert native.settings.keys() <= eager.settings.keys()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("batch_size", [None, 32])
def test_the_numbers_are_those_of_eager_torch(optimizer, batch_size):
    recipe = dataclasses.replace(
        IRIS, optimizer=optimizer, batch_size=batch_size, learning_rate=0.02, weight_decay=0.1, epochs=60
    )
    assert_same(*both(tables.read("iris"), recipe))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus"])
def test_each_activation(activation):
    recipe = dataclasses.replace(IRIS, activation=activation, hidden=(7, 5), epochs=40, batch_size=50)
    assert_same(*both(tables.read("iris"), recipe))


def test_balanced_classes_and_validation():
    recipe = dataclasses.replace(IRIS, balanced=True, validation_size=0.2, stratify=False, epochs=50, batch_size=17)
    native, eager = both(tables.read("iris"), recipe, record_every=4)
    assert_same(native, eager)
    assert native.settings["class_weight"] == "balanced"
    assert len(native.validation_losses) == 50


def test_regression_with_patience_brings_back_the_best_weights(numbers):
    recipe = dataclasses.replace(TABULAR, epochs=400, learning_rate=0.03, patience=4)
    native, eager = both(numbers, recipe)
    assert native.stopped == eager.stopped == "patience"
    assert native.best_epoch == int(native.validated_at[np.argmin(native.validation_losses)])
    np.testing.assert_allclose(native.losses[:8], eager.losses[:8], rtol=1e-3)
    training = prepare_table_training(numbers, recipe, seed=3)
    output = training.network.forward(native.weights, training.prepared.X_validation)
    loss = float(np.mean((output - training.prepared.y_validation) ** 2))
    assert loss == pytest.approx(native.validation_losses.min(), rel=1e-4)


def test_no_hidden_layer(numbers):
    assert_same(*both(numbers, dataclasses.replace(TABULAR, hidden=(), epochs=20, patience=None)))


def test_callbacks_run_at_their_epochs_and_see_no_module():
    seen = []
    moments = hotloop.callback(every=7)(lambda moment: seen.append((moment.epoch, moment.loss, moment.model)))
    run = prepare_table_training(tables.read("iris"), dataclasses.replace(IRIS, epochs=30)).run(callbacks=[moments])
    assert [epoch for epoch, _, _ in seen] == [7, 14, 21, 28]
    assert [loss for _, loss, _ in seen] == [run.losses[epoch - 1] for epoch, _, _ in seen]
    assert {model for _, _, model in seen} == {None}


def test_a_loss_that_turns_nan_leaves_the_last_good_weights():
    native, eager = both(tables.read("iris"), dataclasses.replace(IRIS, learning_rate=1e38, epochs=50))
    assert native.stopped == eager.stopped == "diverged"
    assert (native.epochs, len(native.losses)) == (eager.epochs, len(eager.losses))
    assert all(np.isfinite(value).all() for value in native.weights.values())


@pytest.mark.parametrize("batch_size", [None, 40])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_checkpoint_goes_on_as_if_never_stopped(tmp_path, batch_size, optimizer):
    recipe = dataclasses.replace(
        IRIS, epochs=300, batch_size=batch_size, optimizer=optimizer, validation_size=0.2, patience=200
    )
    training = prepare_table_training(tables.read("iris"), recipe)
    whole = training.run()

    def stop(moment):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(hotloop.Interrupted) as interrupted:
        training.run(checkpoint=tmp_path / "state", callbacks=[hotloop.callback(every=123)(stop)])
    assert (interrupted.value.run.stopped, interrupted.value.run.epochs) == ("interrupted", 123)
    resumed = training.run(checkpoint=tmp_path / "state")
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    np.testing.assert_array_equal(resumed.validation_losses, whole.validation_losses)
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value)
    other = prepare_table_training(tables.read("iris"), dataclasses.replace(recipe, learning_rate=0.5))
    with pytest.raises(SavedRunError, match="of another run"):
        other.run(checkpoint=tmp_path / "state")


def test_the_time_of_capture_and_compilation_is_said():
    training = prepare_table_training(tables.read("iris"), dataclasses.replace(IRIS, epochs=3))
    assert 0 < training.run().prepare_s < 30
    assert training.run(engine="eager").prepare_s == 0


def test_torch_takes_over_where_it_is_asked_for_or_needed(monkeypatch):
    training = prepare_table_training(tables.read("iris"), dataclasses.replace(IRIS, epochs=3, optimizer="rmsprop"))
    run = training.run()
    assert run.engine == "eager"
    assert "RMSprop" in run.why
    # A step that would occupy a GPU, on a machine where there may be one.
    wide = dataclasses.replace(IRIS, epochs=1, hidden=(700, 700))
    monkeypatch.setattr("hotloop.hardware.may_have_accelerator", lambda: True)
    assert "torch sees no GPU" in prepare_table_training(tables.read("iris"), wide).run().why
    monkeypatch.setattr("hotloop.hardware.may_have_accelerator", lambda: False)
    assert "there is no GPU here" in prepare_table_training(tables.read("iris"), wide).run().why


def test_why_is_a_true_sentence():
    training = prepare_table_training(tables.read("iris"), dataclasses.replace(IRIS, epochs=2))
    assert training.run().why.startswith(
        "native, the fastest engine, can compile all of it; cpu, since a step is about"
    )
    assert training.run(engine="native", device="cpu").why == "native was asked for; cpu was asked for"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"learning_rate": -1.0}, "learning rate is -1"),
        ({"weight_decay": -1.0}, "weight decay is -1"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
@pytest.mark.parametrize("engine", ["auto", "eager"])
def test_settings_that_make_no_sense(change, said, engine):
    training = prepare_table_training(tables.read("iris"), dataclasses.replace(IRIS, **change))
    with pytest.raises(ArgumentError, match=said):
        training.run(engine=engine)


def test_memory_is_asked_for_before_weights_are_drawn(monkeypatch):
    monkeypatch.setattr("hotloop.hardware.free_memory_bytes", lambda device: 100)
    monkeypatch.setattr(train_table, "_ALWAYS_FREE_BYTES", 0)
    with pytest.raises(hotloop.OutOfMemoryError, match="83 parameters"):
        prepare_table_training(tables.read("iris"), IRIS).run()


def test_what_does_not_fit_is_one_clear_error(monkeypatch):
    def too_much(*arguments):
        raise MemoryError

    monkeypatch.setattr("hotloop.engines.native_layers.CompiledSteps", too_much)
    with pytest.raises(hotloop.OutOfMemoryError, match="4-10-3 on 120 rows does not fit"):
        prepare_table_training(tables.read("iris"), IRIS).run()


HEAVY = """
import sys
from hotloop.cli import _run
code = _run(sys.argv[1:])
assert code == 0, code
sys.exit(" ".join(sorted({"torch", "matplotlib", "polars", "pandas", "rich.console"} & set(sys.modules))) or 0)
"""


def heavy_modules(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", HEAVY, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip()


def test_the_command_line_does_not_import_torch(tmp_path):
    assert heavy_modules(tmp_path, "train", "iris", "--no-plot", "--epochs", "2000") == ""
    assert heavy_modules(tmp_path, "train", "iris", "--epochs", "20") == "matplotlib"
    recipe = ("--recipe", "tabular", "--epochs", "3", "--class-weight", "balanced", "--json", "--no-plot")
    assert heavy_modules(tmp_path, "train", "iris", *recipe) == ""
    assert "torch" in heavy_modules(tmp_path, "train", "iris", "--no-plot", "--epochs", "5", "--engine", "eager")
    assert heavy_modules(tmp_path, "predict", "runs/iris", "iris", "--out", "answers.csv") == ""


@pytest.mark.slow
def test_resuming_does_not_import_torch(tmp_path):
    stop = "import os, signal; from hotloop.training import loop; write = loop.Checkpoint.write\n"
    stop += "def write_and_stop(self, state): write(self, state); os._exit(0)\nloop.Checkpoint.write = write_and_stop\n"
    stop += "loop.Checkpoint.is_due = lambda self: True\n"
    arguments = ("train", "iris", "--no-plot", "--epochs", "4000")
    subprocess.run([sys.executable, "-c", stop + HEAVY, *arguments], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "runs/iris.checkpoint").exists()
    assert heavy_modules(tmp_path, *arguments, "--resume") == ""
    assert heavy_modules(tmp_path, *arguments, "--out", "whole") == ""
    for name in ("losses.csv", "weights.safetensors"):
        assert (tmp_path / "runs/iris" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_patience_without_validation_rows_is_refused(numbers):
    with pytest.raises(ArgumentError, match="patience needs validation rows"):
        prepare_table_training(numbers, dataclasses.replace(TABULAR, validation_size=0.0, patience=4))


def test_threads_that_compiled_code_does_not_use_are_told_of(numbers):
    training = prepare_table_training(numbers, dataclasses.replace(TABULAR, epochs=2))
    for threads, told in ((1, False), (4, True)):
        run = training.run(engine="native", threads=threads)
        assert any("runs on one thread" in note for note in run.notes) == told
