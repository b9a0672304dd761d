"""``hotloop train`` and ``predict`` as a person types them, each in a fresh process."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

HOTLOOP = str(Path(sys.executable).with_name("hotloop"))


@pytest.fixture
def houses(tmp_path):
    """A regression table with every kind of column and some holes."""
    random = np.random.default_rng(0)
    rooms = random.integers(1, 9, 400)
    area = rooms * 22.0 + random.normal(0, 5, 400)
    town = random.choice(["north", "south"], 400)
    price = 1000 * area + 30_000 * (town == "north") + random.normal(0, 3000, 400)
    frame = pl.DataFrame({"rooms": rooms, "area": area, "town": town, "price": price})
    frame = frame.with_columns(area=pl.when(pl.col("rooms") == 3).then(None).otherwise(pl.col("area")))
    frame.write_csv(tmp_path / "houses.csv")
    return tmp_path / "houses.csv"


def test_the_lesson_prints_saves_and_predicts(hotloop_cli, tmp_path):
    done = hotloop_cli("train", "iris", "--epochs", "2000")
    assert done.returncode == 0, done.stderr
    assert "epoch 1,000 of 2,000  loss 0.5700" in done.stdout
    assert "4-10-3, 83 parameters" in done.stdout
    assert "120 rows to train on, 30 to test" in done.stdout
    assert "cpu" in done.stdout
    assert done.stderr == ""
    run = tmp_path / "runs" / "iris"
    names = {"run.json", "network.json", "weights.safetensors", "losses.csv", "loss.png", "report.html"}
    assert {path.name for path in run.iterdir()} == names
    assert list((tmp_path / "runs").iterdir()) == [run], "nothing but the run is left behind"
    rows = list(csv.DictReader((run / "losses.csv").read_text().splitlines()))
    assert list(rows[0]) == ["epoch", "loss"]
    assert [int(row["epoch"]) for row in rows] == list(range(1, 2001))
    assert float(rows[999]["loss"]) == pytest.approx(0.569962, rel=1e-4)
    again = hotloop_cli("train", "iris", "--epochs", "10", "--no-plot")
    assert "runs/iris-2" in again.stdout
    assert not {"loss.png", "report.html"} & {path.name for path in (tmp_path / "runs" / "iris-2").iterdir()}

    predicted = hotloop_cli("predict", "runs/iris", "iris")
    assert predicted.returncode == 0, predicted.stderr
    answers = list(csv.DictReader(predicted.stdout.splitlines()))
    assert next(iter(answers[0])) == "predicted"
    truth = pl.read_csv(Path(__file__).parents[2] / "src/hotloop/tables/data/iris.csv")["species"].to_list()
    right = sum(answer["predicted"] == species for answer, species in zip(answers, truth, strict=True))
    assert right >= 130
    total = sum(float(answers[0][f"probability of {name}"]) for name in ("setosa", "versicolor", "virginica"))
    assert total == pytest.approx(1, abs=1e-5)


def test_any_table_regression(in_process, houses, tmp_path):
    done = in_process("train", "houses.csv", "--epochs", "60", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) >= {
        "engine",
        "device",
        "why",
        "epochs",
        "duration_s",
        "prepare_s",
        "final_loss",
        "metrics",
        "path",
    }
    assert document["metrics"]["test_r2"] > 0.9
    assert document["metrics"]["test_rmse"] < 20_000
    assert document["path"] == "runs/houses"
    assert document["settings"]["recipe"] == "tabular"
    header = (tmp_path / "runs/houses/losses.csv").read_text().splitlines()[0]
    assert header == "epoch,loss,validation_loss"
    pl.read_csv(houses).drop("price").head(5).write_csv(tmp_path / "new.csv")
    predicted = in_process("predict", "runs/houses", "new.csv", "-o", "answers.csv")
    assert (predicted.returncode, predicted.stdout) == (0, "")
    answers = pl.read_csv(tmp_path / "answers.csv")["predicted"]
    truth = pl.read_csv(houses)["price"].head(5)
    assert (answers - truth).abs().max() < 30_000
    as_json = in_process("predict", "runs/houses", "new.csv", "--json")
    np.testing.assert_allclose(json.loads(as_json.stdout)["numbers"], answers.to_list())


def test_each_setting_of_the_recipe_can_be_given(in_process, houses):
    done = in_process(
        *("train", "houses.csv", "--json", "--target", "town", "--task", "classification", "--recipe", "lesson"),
        *("--hidden", "7,5", "--activation", "tanh", "--optimizer", "adamw", "--lr", "0.02", "--weight-decay", "0.1"),
        *("--epochs", "9", "--batch-size", "50", "--scaling", "standard", "--class-weight", "balanced"),
        *("--test-size", "0.25", "--validation-size", "0.1", "--patience", "3", "--stratify", "--split-seed", "7"),
        *("--ignore", "price", "--seed", "5", "--device", "cpu", "--engine", "eager", "--threads", "1"),
        *("--record-every", "2", "--out", "elsewhere/mine"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    settings = document["settings"]
    assert document["path"] == "elsewhere/mine"
    assert document["seed"] == 5
    expected = {
        "recipe": "lesson",
        "target": "town",
        "hidden": [7, 5],
        "activation": "tanh",
        "optimizer": "AdamW",
        "optimizer_lr": 0.02,
        "optimizer_weight_decay": 0.1,
        "epochs": 9,
        "batch_size": 50,
        "scaling": "standard",
        "class_weight": "balanced",
        "patience": 3,
        "threads": 1,
        "record_every": 2,
        "rows_test": 100,
        "rows_validation": 30,
        "rows_train": 270,
    }
    assert {name: settings[name] for name in expected} == expected
    assert "test_accuracy" in document["metrics"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["train"], 2, "TABLE"),
        (["trian", "iris"], 2, 'Did you mean "train"?'),
        (["train", "iris", "--targt", "x"], 2, "Did you mean --target?"),
        (["train", "iris", "--target", "speces"], 1, "Did you mean 'species'?"),
        (["train", "iris", "more"], 2, "more"),
        (["train", "nosuch.csv"], 1, "no such file"),
        (["train", "iris", "--epochs", "0"], 2, "epochs is 0"),
        (["train", "iris", "--epochs", "many"], 2, "many"),
        (["train", "iris", "--hidden", "a,b"], 2, "whole numbers"),
        (["train", "iris", "--batch-size", "-3"], 2, "whole numbers"),
        (["train", "iris", "--lr", "-1"], 2, "learning rate"),
        (["train", "iris", "--optimizer", "adm"], 2, "Did you mean 'adam'?"),
        (["train", "iris", "--activation", "rlu"], 2, "Did you mean 'relu'?"),
        (["train", "iris", "--recipe", "leson"], 2, "Did you mean 'lesson'?"),
        (["train", "iris", "--scaling", "big"], 2, "big"),
        (["train", "iris", "--device", "gpu"], 2, "not a device"),
        (["train", "iris", "--device", "xpu"], 1, "there is no device 'xpu'"),
        (["train", "iris", "--engine", "graph"], 1, "no such engine"),
        (["train", "iris", "--engine", "native", "--optimizer", "rmsprop"], 1, "RMSprop"),
        (["train", "iris", "--engine", "egaer"], 2, "Did you mean 'eager'?"),
        (["train", "iris", "--threads", "0"], 2, "threads"),
        (["train", "iris", "--threads", "100000"], 2, "at most 1024"),
        (["train", "iris", "--record-every", "9" * 30], 2, "at most"),
        (["train", "iris", "--patience", "-1"], 2, "--patience"),
        (["train", "iris", "--hidden", "9" * 20], 2, "wide"),
        (["train", "iris", "--hidden", "1000000,1000000"], 1, "parameters"),
        (["train", "iris", "--seed", "-1"], 2, "seed"),
        (["train", "iris", "--print-every", "-1"], 2, "print-every"),
        (["train", "iris", "--test-size", "2"], 2, "test_size"),
        (["train", "iris", "--class-weight", "balanced", "--task", "regression"], 2, "class weights"),
        (["train", "iris", "--resume"], 2, "nothing to resume"),
        (["train", "iris", "--out", "file/run"], 1, "cannot write"),
        (["train", "iris", "--out", "."], 2, "names no directory"),
        (["train", "iris", "--out", "/"], 2, "names no directory"),
        (["train", "iris", "--out", "runs/" + "x" * 300], 2, "names no directory"),
        (["predict", "runs/none", "iris"], 1, "there is no run"),
        (["predict", "runs/none"], 2, "TABLE"),
        (["devices", "extra"], 2, "extra"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(in_process, tmp_path, arguments, exit_code, said):
    (tmp_path / "file").write_text("not a directory")
    done = in_process(*arguments)
    assert done.returncode == exit_code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("hotloop: ")
    assert said in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is half written"


def test_debug_shows_the_traceback(hotloop_cli):
    assert "Traceback" in hotloop_cli("train", "nosuch.csv", HOTLOOP_DEBUG="1").stderr
    wrong = hotloop_cli("train", "nosuch.csv", HOTLOOP_DEBUG="yes")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "HOTLOOP_DEBUG" in wrong.stderr


def test_a_diverged_run_is_saved_and_said(in_process, tmp_path):
    done = in_process("train", "iris", "--epochs", "200", "--lr", "1e38", "--no-plot")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "in epoch" in done.stderr
    assert json.loads((tmp_path / "runs/iris/run.json").read_text())["stopped"] == "diverged"


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_interrupted_and_resumed_equals_never_stopped(in_process, tmp_path, number, exit_code):
    # A line for each epoch fills the pipe: the run waits there until the signal has been sent.
    arguments = [HOTLOOP, "train", "iris", "--epochs", "9000", "--print-every", "1", "--no-plot"]
    process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch "):
            break
    process.send_signal(number)
    sent_s = time.perf_counter()
    _, stderr = process.communicate(timeout=30)
    assert time.perf_counter() - sent_s < 20
    assert process.returncode == exit_code
    assert len(stderr.splitlines()) == 1
    assert "--resume" in stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["iris.checkpoint"]

    # Only what is interrupted needs a process of its own.
    refused = in_process(*arguments[1:])
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resumed = in_process(*arguments[1:], "--resume")
    assert resumed.returncode == 0, resumed.stderr
    whole = in_process(*arguments[1:], "--out", "whole")
    assert whole.returncode == 0
    for name in ("losses.csv", "weights.safetensors"):
        assert (tmp_path / "runs/iris" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "runs/iris.checkpoint").exists()


def test_a_closed_pipe_is_no_error(tmp_path):
    shell = f"{HOTLOOP} train iris --epochs 300 --print-every 1 --no-plot | head -1"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("table")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_console_without_unicode_shows_what_it_can(hotloop_cli, tmp_path):
    (tmp_path / "花.csv").write_text("宽度,种类\n" + "1.5,甲\n2.5,乙\n" * 20, encoding="utf-8")
    for encoding in ("ascii", "gbk"):
        done = hotloop_cli("train", "花.csv", "--epochs", "2", "--no-plot", PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr
        assert "saved" in done.stdout


@pytest.mark.timing
@pytest.mark.parametrize("arguments", [["--help"], ["devices"]])
def test_first_output_within_half_a_second_and_without_heavy_imports(arguments):
    subprocess.run([HOTLOOP, *arguments], capture_output=True, check=True)
    times_s = []
    for _ in range(5):
        started_s = time.perf_counter()
        with subprocess.Popen([HOTLOOP, *arguments], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            times_s.append(time.perf_counter() - started_s)
            process.stdout.read()
    assert sorted(times_s)[2] < 0.5
    code = (
        "import sys; from hotloop.cli import _run; _run(sys.argv[1:]); "
        "sys.exit(sorted({'torch', 'matplotlib', 'polars'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timing
@pytest.mark.parametrize(("arguments", "most_s"), [(["--no-plot"], 0.5), ([], 1.2)])
def test_the_lesson_takes_no_longer_than_this(tmp_path, arguments, most_s):
    """20,000 epochs, the whole process, with compiled code and Python's byte code in their caches."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times_s = []
    for _ in range(6):
        started_s = time.perf_counter()
        command = [HOTLOOP, "train", "iris", *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
        times_s.append(time.perf_counter() - started_s)
    assert sorted(times_s[1:])[2] < most_s


def test_first_weights_do_not_depend_on_torch_s_generator(in_process, tmp_path):
    import torch

    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        assert in_process("train", "iris", "--epochs", "20", "--no-plot", "--out", f"run{seed}").returncode == 0
        losses.append((tmp_path / f"run{seed}/losses.csv").read_text())
    assert losses[0] == losses[1]


def test_environment_is_documented():
    """Every HOTLOOP_ variable that the sources read stands in config.py's table, and the other way round."""
    import re

    source = Path(__file__).parents[2] / "src" / "hotloop"
    used = set().union(*(re.findall(r"HOTLOOP_[A-Z_]+", path.read_text()) for path in source.rglob("*.py")))
    documented = set(re.findall(r"^(HOTLOOP_[A-Z_]+)", (source / "config.py").read_text(), flags=re.M))
    assert used == documented
    assert os.environ.get("HOTLOOP_DEBUG") is None, "tests run without it"
