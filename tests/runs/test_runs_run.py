"""The result of a fit, read by people and programs."""

from __future__ import annotations

import dataclasses
import math

import matplotlib.figure
import numpy as np
import pytest

from hotloop.errors import ArgumentError, OutputError
from hotloop.runs import load
from hotloop.runs.prediction import of_numbers


def test_it_prints_what_a_person_asks_first(make_run):
    run = make_run(
        validation_losses=np.array([0.5, 0.25, 0.75]),
        validated_at=np.array([1, 2, 3]),
        best_epoch=2,
        epochs=12_000,
        stopped="patience",
        stopped_why="no better validation loss for 1 epoch",
    )
    assert str(run) == repr(run)
    assert str(run).splitlines() == [
        "Run, patience",
        "  epochs        12,000 (no better validation loss for 1 epoch)",
        "  loss          0.3",
        "  validation    0.25 at epoch 2, the best",
        "  time          0.25 s, after 0 s of preparation",
        "  engine        eager on cpu",
        "  why           it is the only engine",
        "  test accuracy 0.9",
        "  note          labels were taken as int64",
    ]


def test_validation_without_choosing_weights(make_run):
    run = make_run(validation_losses=np.array([0.5, 0.25]), validated_at=np.array([1, 2]))
    assert "  validation    0.25\n" in str(run)
    assert run.to_json()["best_validation_loss"] is None


def test_final_loss(make_run):
    assert make_run().final_loss == 0.1 + 0.2
    assert math.isnan(make_run(losses=np.array([]), recorded_at=np.array([], dtype=int)).final_loss)


def test_it_is_data_that_nobody_changes(make_run):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_run().epochs = 5


def test_to_json_has_the_names_that_programs_rely_on(make_run):
    document = make_run(best_epoch=np.int64(2)).to_json("runs/iris")
    names = ["engine", "device", "why", "epochs", "duration_s", "prepare_s", "final_loss", "metrics", "path"]
    assert list(document)[: len(names)] == names
    assert document["path"] == "runs/iris"
    assert make_run().to_json()["path"] is None


@pytest.mark.parametrize("given", [3, None, b"runs/iris", ["runs"]])
def test_what_is_no_path_is_refused(make_run, given):
    run = make_run()
    prediction = of_numbers(np.zeros(2))
    for use in (run.save, load, prediction.write_csv, *([run.plot] if given is not None else [])):
        with pytest.raises(ArgumentError, match=r"path is .*; it must be a path"):
            use(given)


def test_plot(make_run, tmp_path):
    run = make_run()
    assert isinstance(run.plot(), matplotlib.figure.Figure)
    for name, magic in {"loss.png": b"\x89PNG", "loss.PDF": b"%PDF", "loss.svg": b"<?xml"}.items():
        path = run.plot(tmp_path / name)
        assert path == tmp_path / name
        assert path.read_bytes().startswith(magic)
    with pytest.raises(ArgumentError, match=r"cannot draw to .*loss\.exe"):
        run.plot(tmp_path / "loss.exe")
    with pytest.raises(OutputError):
        run.plot(tmp_path / "missing" / "loss.png")
