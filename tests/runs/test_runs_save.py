"""What a saved run holds."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_arrays

from hotloop.errors import ArgumentError, OutputError
from hotloop.runs import load


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_directory_holds_what_the_design_names(make_run, tmp_path):
    run = make_run()
    path = run.save(tmp_path / "runs" / "iris")
    assert path == tmp_path / "runs" / "iris"
    assert names(path) == ["losses.csv", "network.json", "run.json", "weights.safetensors"]
    saved = json.loads((path / "run.json").read_bytes())
    expected = {
        "engine": "eager",
        "device": "cpu",
        "why": "it is the only engine",
        "epochs": 3,
        "duration_s": 0.25,
        "prepare_s": 0.0,
        "final_loss": 0.1 + 0.2,
        "metrics": {"test_accuracy": 0.9},
        "path": str(path),
        "seed": 7,
        "settings": {"loss": "CrossEntropyLoss", "batch_size": None, "lr": 0.01},
        "notes": ["labels were taken as int64"],
        "stopped": "finished",
    }
    assert {key: saved[key] for key in expected} == expected
    loaded = {"torch", "llvmlite"} & set(sys.modules)
    assert saved["versions"].keys() == {"hotloop", "numpy", "python", "system", *loaded}
    assert saved["versions"]["numpy"] == np.__version__
    for name, digest in saved["files"].items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == digest
    assert saved["files"].keys() == {"losses.csv", "network.json", "weights.safetensors"}


def test_network_json_describes_the_network(make_run, network, tmp_path):
    path = make_run().save(tmp_path / "iris")
    description = json.loads((path / "network.json").read_bytes())
    weights = (path / "weights.safetensors").read_bytes()
    assert description["kind"] == "layers"
    assert description["layers"] == network.to_json()
    assert description["task"] == "classification"
    assert description["parameters"]["0.weight"] == {"shape": [5, 4], "dtype": "float32"}
    assert description["weights"] == {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "size_bytes": len(weights),
    }
    for name, array in load_arrays(weights).items():
        np.testing.assert_array_equal(array, network.initialise(0)[name])


def test_names_are_numbered_and_each_run_knows_its_own(make_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = make_run()
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: run.save("runs/iris"), range(6)))
    assert sorted(map(str, paths)) == ["runs/iris", *(f"runs/iris-{n}" for n in range(2, 7))]
    assert all(load(path).run["path"] == str(path) for path in paths)


def test_losses_csv(make_run, tmp_path):
    path = make_run().save(tmp_path / "iris")
    assert (path / "losses.csv").read_text() == "epoch,loss\n1,1.5\n2,0.75\n3,0.30000000000000004\n"


def test_losses_csv_with_validation_between_records(make_run, tmp_path):
    run = make_run(
        losses=np.array([1.0, np.nan]),
        recorded_at=np.array([2, 4]),
        validation_losses=np.array([0.5, np.inf, 0.25]),
        validated_at=np.array([1, 4, 5]),
        best_epoch=5,
    )
    text = (run.save(tmp_path / "iris") / "losses.csv").read_text()
    assert text == "epoch,loss,validation_loss\n1,,0.5\n2,1.0,\n4,nan,inf\n5,,0.25\n"
    assert [row["loss"] for row in csv.DictReader(text.splitlines())] == ["", "1.0", "nan", ""]


def test_the_picture_is_saved_where_asked_for(make_run, tmp_path):
    path = make_run().save(tmp_path / "iris", plot=True)
    assert (path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_drawn_costs_no_run(make_run, tmp_path, monkeypatch):
    def savefig(*arguments, **settings):
        raise ValueError("no such font\nat all")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", savefig)
    run = make_run()
    with pytest.raises(OutputError, match=r"the run is saved in '.*iris', but not its picture") as raised:
        run.save(tmp_path / "iris", plot=True)
    assert "ValueError: no such font" in raised.value.why
    assert {path.name for path in tmp_path.iterdir()} == {"iris"}
    assert load(tmp_path / "iris")
    assert not (tmp_path / "iris" / "loss.png").exists()


def test_a_diverged_run_is_saved_as_plain_json(make_run, tmp_path):
    run = make_run(
        losses=np.array([1.0, np.inf, np.nan]),
        stopped="diverged",
        metrics={"test_r2": np.float32("nan")},
        settings={"loss": "MSELoss", "clip": float("inf"), "betas": (0.9, np.float32(0.5)), "net": object},
    )
    saved = json.loads((run.save(tmp_path / "iris") / "run.json").read_bytes(), parse_constant=pytest.fail)
    assert saved["final_loss"] is None
    assert saved["metrics"] == {"test_r2": None}
    assert saved["settings"] == {
        "loss": "MSELoss",
        "clip": None,
        "betas": [0.9, 0.5],
        "net": "<class 'object'>",
    }


def test_tensors_of_any_kind_are_saved_bit_for_bit(make_run, tmp_path):
    shared = torch.arange(6.0).reshape(2, 3)
    weights = {
        "brain": torch.tensor([1.5, -2.25], dtype=torch.bfloat16),
        "shared": shared,
        "same": shared,
        "transposed": shared.T,
        "steps": torch.tensor(5),
        "array": np.array(3.0),
    }
    path = make_run(network=None, weights=weights).save(tmp_path / "iris")
    module = torch.nn.Module()
    for name, value in weights.items():
        module.register_buffer(name, torch.zeros_like(torch.as_tensor(value)))
    load(path, into=module)
    for name, value in weights.items():
        assert torch.equal(getattr(module, name), torch.as_tensor(value)), name


@pytest.mark.parametrize("value", [{"extra": "state"}, np.array(["text"]), np.array([object()])])
@pytest.mark.parametrize("beside", [{}, {"w": torch.zeros(2)}])
def test_what_is_no_array_is_not_saved(make_run, tmp_path, value, beside):
    with pytest.raises(OutputError, match="cannot save the weights"):
        make_run(network=None, weights={"odd": value, **beside}).save(tmp_path / "iris")
    assert names(tmp_path) == []


def test_a_full_disk_leaves_nothing(make_run, tmp_path, monkeypatch):
    real_write, budget = os.write, [900]

    def write(descriptor, data):
        if budget[0] < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        budget[0] -= len(data)
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OutputError, match="cannot write") as caught:
        make_run().save(tmp_path / "iris")
    assert caught.value.why == "the disk is full"
    assert names(tmp_path) == []


def test_paths_that_cannot_be(make_run, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        make_run().save(tmp_path / "file" / "iris")
    with pytest.raises(ArgumentError, match="does not name a new directory"):
        make_run().save("..")


def test_the_weights_must_be_those_of_the_network(make_run, tmp_path):
    with pytest.raises(AssertionError):
        make_run(weights={"0.weight": np.zeros((2, 2))}).save(tmp_path / "iris")
