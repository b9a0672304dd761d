"""What the command line does with odd streams, odd names and an odd matplotlib."""

from __future__ import annotations

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


def test_what_matplotlib_dislikes_costs_no_run_and_no_line(tmp_path):
    (tmp_path / "not-a-folder").touch()
    environment = {"MPLBACKEND": "nonsense", "MPLCONFIGDIR": str(tmp_path / "not-a-folder")}
    done = subprocess.run(
        [HOTLOOP, *SHORT], cwd=tmp_path, env=_with(environment), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "runs" / "iris" / "loss.png").exists()


def test_names_cannot_command_the_terminal(in_process):
    done = in_process("train", "\x1b[31m\n.csv")
    assert done.stderr.startswith("hotloop: cannot read '\\x1b[31m .csv'")
    assert done.stderr.count("\n") == 1


def _with(environment: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **environment}
