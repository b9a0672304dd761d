"""Where runs are saved and keep their state: never two in one place; and consoles of odd widths."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOTLOOP = str(Path(sys.executable).with_name("hotloop"))
SHORT = ("train", "iris", "--no-plot", "--epochs", "20000")
LONG = (HOTLOOP, *SHORT[:-1], "1000000000")


def start(directory, *command):
    """Start a run and wait until it is training."""
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch "):
            break
    return process


def stop(process):
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=30)[1]


def test_two_runs_of_one_name_at_once_have_places_of_their_own(tmp_path):
    first = start(tmp_path, *LONG)
    second = start(tmp_path, *LONG)
    resumed = subprocess.run([*LONG, "--resume"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert resumed.returncode == 2
    assert "belongs to a run that is still going on" in resumed.stderr
    said = stop(second)
    assert "The state is in runs/iris-2.checkpoint; the same command with --out runs/iris-2 --resume goes on." in said
    said = stop(first)
    assert "The state is in runs/iris.checkpoint; the same command with --resume goes on." in said
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["iris-2.checkpoint", "iris.checkpoint"]


def test_the_place_after_a_saved_run_is_resumed(tmp_path, in_process):
    assert in_process("train", "iris", "--epochs", "2", "--no-plot").returncode == 0
    stop(start(tmp_path, HOTLOOP, *SHORT))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["iris", "iris-2.checkpoint"]
    refused = in_process(*SHORT)
    assert refused.returncode == 2
    assert "runs/iris-2.checkpoint holds the state of an interrupted run" in refused.stderr
    differing = in_process("train", "iris", "--epochs", "3", "--no-plot", "--resume")
    assert "is of another run" in differing.stderr
    done = in_process(*SHORT, "--resume")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["iris", "iris-2"]
    assert json.loads((tmp_path / "runs/iris-2/run.json").read_text())["epochs"] == 20_000


@pytest.mark.parametrize("columns", ["0", "1", "2", "²", "-5", "9" * 30])
def test_help_appears_at_any_width(in_process, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    done = in_process("train", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--epochs" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 500
