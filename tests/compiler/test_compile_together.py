"""Sixty-four processes compile the same network at once, into one directory that is empty."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lesson import digest_of

N_PROCESSES = 64
# Each waits until all are there: the file is made when the last has started.
CODE = """
import pathlib, sys, time
from lesson import digest_of
start = pathlib.Path(sys.argv[1])
print("ready", flush=True)
while not start.exists():
    time.sleep(0.01)
print(digest_of("full"))
"""


@pytest.mark.slow
def test_many_processes_compile_at_once(tmp_path, monkeypatch):
    cache, start = tmp_path / "cache", tmp_path / "start"
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(cache))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, str(start)],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(N_PROCESSES)
    ]
    try:
        assert {process.stdout.readline() for process in processes} == {"ready\n"}
        start.touch()
        outputs = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * N_PROCESSES, outputs[0][1]
    assert [path.suffix for path in cache.iterdir()] == [".object"], "one entry, and nothing half written"
    assert {out.strip() for out, _ in outputs} == {digest_of("full")}
