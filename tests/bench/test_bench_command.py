"""``hotloop bench``: options, what is printed where, what is written, exit codes."""

from __future__ import annotations

import json
import subprocess

import pytest


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys, tiny_classes, tiny_numbers):
    """Run ``hotloop bench ARGUMENTS`` in this process on two tiny workloads called W1 and W2."""
    from dataclasses import replace

    from hotloop.cli import main

    tiny = {"W1": replace(tiny_classes, name="W1"), "W2": replace(tiny_numbers, name="W2")}
    monkeypatch.setattr("hotloop.bench.workloads._WORKLOADS", tiny)
    monkeypatch.setattr("hotloop.bench.workloads.NAMES", tuple(tiny))
    monkeypatch.setattr("hotloop.bench.run.measure_peaks", lambda machine: {1: 100.0})
    monkeypatch.setattr("hotloop.cli.stop_at_once", lambda: None)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(["bench", *arguments])
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, left.value.code or 0, shown.out, shown.err)

    return run


QUICK = ("--only", "hotloop,eager", "--rounds", "2", "--seconds", "0.001")


def test_tables_on_stdout_and_progress_on_stderr(bench):
    done = bench(*QUICK)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line[:2] for line in lines if line.startswith("W")] == ["W1", "W2"]
    assert sum(line.startswith("hotloop ") for line in lines) >= 2
    assert all(len(line) <= 100 for line in lines)
    assert "W2: round 2 of 2" in done.stderr
    assert "round" not in lines[0]


def test_json_alone_on_stdout(bench):
    done = bench("w2", *QUICK, "--json")
    data = json.loads(done.stdout)
    assert [workload["name"] for workload in data["workloads"]] == ["W2"]
    ours, eager = data["workloads"][0]["contenders"]
    assert (ours["name"], eager["name"]) == ("hotloop", "eager")
    assert ours["deviation"] < 1e-5
    assert eager["ratio"]["low"] <= eager["ratio"]["value"] <= eager["ratio"]["high"]
    assert len(eager["us_per_step"]) == data["conditions"]["rounds"] == 2


def test_files(bench, tmp_path):
    done = bench("W1", "W1", *QUICK, "--out", "a/b")
    folder = tmp_path / "a" / "b"
    assert done.stdout.splitlines()[-1].startswith("written: bench.json, bench.md, bench.png")
    assert len(json.loads((folder / "bench.json").read_text())["workloads"]) == 1
    assert (folder / "bench.md").read_text().startswith("# Training side by side")
    assert (folder / "bench.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("W11",), 2, "unknown workload 'W11'. Did you mean 'W1'?"),
        (("W1", "--only", "jaxx"), 2, "Did you mean 'jax'?"),
        (("W1", "--only", "jax", "--without", "jax"), 2, "no contender is left. Name fewer in --without."),
        (("W1", "--rounds", "1"), 2, "--rounds 1 is not from 2"),
        (("W1", "--rounds", "many"), 2, "many"),
        (("W1", "--seconds", "0"), 2, "--seconds 0"),
        (("W1", "--seconds", "nan"), 2, "--seconds nan"),
        (("W1", "--out", "file/folder"), 1, "cannot make the folder"),
    ],
)
def test_mistakes_take_one_line_and_no_time(bench, tmp_path, arguments, code, said):
    (tmp_path / "file").write_text("")
    done = bench(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_fits_a_screen(bench):
    done = bench("--help")
    assert done.returncode == 0
    assert done.stdout.count("\n") <= 32
    assert "torch-compile" in done.stdout
