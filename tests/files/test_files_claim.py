"""Claims to a name, and what killed processes leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from hotloop.errors import OutputError
from hotloop.files import claim, publish_directory, write_atomically


def test_a_name_is_claimed_once_and_nothing_stays(tmp_path):
    path = tmp_path / "runs" / "deep" / "iris"
    with claim(path):
        assert claim(path) is None
        with claim(path.with_name("other")):
            pass
        assert [entry.name for entry in path.parent.iterdir()] == [".hotloop-iris.lock"]
    assert not list(tmp_path.iterdir())
    with claim(path):
        path.touch()
    assert [entry.name for entry in path.parent.iterdir()] == ["iris"]


def test_a_killed_process_claims_nothing(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; from hotloop.files import claim\n"
        "held = claim(Path('iris')); print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    assert claim(tmp_path / "iris") is None
    process.kill()
    process.communicate()
    with claim(tmp_path / "iris") as held:
        assert held is not None
    assert not list(tmp_path.iterdir())


def test_many_at_once_hold_one_claim(tmp_path):
    """Processes that claim and release as fast as they can: never two at a time."""
    code = (
        "from pathlib import Path; from hotloop.files import claim\n"
        "for _ in range(300):\n"
        "    held = claim(Path('runs/iris'))\n"
        "    if held:\n"
        "        with held:\n"
        "            Path('alone').mkdir()\n"
        "            Path('alone').rmdir()\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    # The folder stays where it was another process's when the last came.
    assert not list(tmp_path.glob("runs/*"))
    assert not (tmp_path / "alone").exists()


def test_where_nothing_can_be_written_is_one_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        claim(tmp_path / "file" / "iris")


@pytest.mark.parametrize(
    "write", [lambda path: write_atomically(path / "new", b""), lambda p: publish_directory(p, "new", {})]
)
def test_what_was_left_a_day_ago_is_swept(tmp_path, write):
    old, young, others = (tmp_path / f".hotloop-{sign * 16}.partial" for sign in "abc")
    old.write_bytes(b"half")
    (tmp_path / f".hotloop-{'d' * 16}.partial").mkdir()
    (tmp_path / f".hotloop-{'d' * 16}.partial" / "weights.safetensors").write_bytes(b"half")
    young.write_bytes(b"half")
    mine = tmp_path / ".hotloop-mine.partial"
    mine.touch()
    others.symlink_to(young)
    two_days_ago = time.time() - 2 * 86_400
    for path in (old, tmp_path / f".hotloop-{'d' * 16}.partial", mine):
        os.utime(path, (two_days_ago, two_days_ago))
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {young.name, mine.name, others.name, "new"}
