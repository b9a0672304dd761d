"""What the command line does with odd streams, odd names and an odd matplotlib."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOTLOOP = str(Path(sys.executable).with_name("hotloop"))
SHORT = ("train", "iris", "--epochs", "2", "--print-every", "0")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_do_not_stop_a_command(tmp_path, closed):
    done = subprocess.run(
        ["sh", "-c", f"'{HOTLOOP}' devices {closed}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([HOTLOOP, "devices"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "hotloop: cannot write to standard output: No space left on device\n"


@pytest.mark.slow
def test_predictions_are_whole_whatever_the_console_can_show(tmp_path):
    (tmp_path / "花.csv").write_text("宽度,种类\n" + "1.5,甲é\n2.5,乙\n" * 20, encoding="utf-8")

    def run(*arguments, **more):
        command = [HOTLOOP, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=_with(more), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("train", "花.csv", "--epochs", "2", "--no-plot", "--out", "run")
    run("predict", "run", "花.csv", "--out", "answers.csv")
    for encoding in ("ascii", "gbk", "utf-16"):
        as_csv = run("predict", "run", "花.csv", PYTHONIOENCODING=encoding)
        assert as_csv == (tmp_path / "answers.csv").read_bytes()
        assert as_csv.decode().startswith("predicted,probability of 乙,probability of 甲é\n")
        as_json = run("predict", "run", "花.csv", "--json", PYTHONIOENCODING=encoding)
        assert json.loads(as_json.decode(encoding))["class_names"] == ["乙", "甲é"]


def test_what_matplotlib_dislikes_costs_no_run_and_no_line(tmp_path):
    (tmp_path / "not-a-folder").touch()
    environment = {"MPLBACKEND": "nonsense", "MPLCONFIGDIR": str(tmp_path / "not-a-folder")}
    done = subprocess.run(
        [HOTLOOP, *SHORT], cwd=tmp_path, env=_with(environment), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs" / "iris" / "loss.png").exists()


def test_a_plot_that_fails_costs_no_run(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise RuntimeError('no fonts\\nhere')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command, environment = [HOTLOOP, *SHORT], _with({"PYTHONPATH": path})
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    said = "the run is saved in runs/iris, its loss.png is not: cannot draw the loss curve. Matplotlib raises "
    assert f"{said}RuntimeError: no fonts." in done.stderr
    assert "saved    runs/iris, with report.html\n" in done.stdout
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["iris"], "the state is not needed any more"
    assert (tmp_path / "runs/iris/run.json").exists()
    # What was not asked for cannot fail.
    command = [HOTLOOP, *SHORT, "--no-plot"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_page_that_fails_costs_no_run(tmp_path):
    (tmp_path / "jinja2.py").write_text("raise RuntimeError('half\\ninstalled')")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command, environment = [HOTLOOP, *SHORT], _with({"PYTHONPATH": path})
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "hotloop: the run is saved in runs/iris, its report.html is not: cannot make the report of this run. "
        "RuntimeError: half. Check how Jinja2 is installed.\n"
    )
    assert "saved    runs/iris, with loss.png\n" in done.stdout
    assert (tmp_path / "runs/iris/run.json").exists()


def test_names_cannot_command_the_terminal(in_process):
    done = in_process("train", "\x1b[31m\n.csv")
    assert done.stderr.startswith("hotloop: cannot read '\\x1b[31m .csv'")
    assert done.stderr.count("\n") == 1


def _with(environment: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **environment}


def test_the_package_is_a_command_too():
    done = subprocess.run([sys.executable, "-m", "hotloop", "layers"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Linear" in done.stdout
