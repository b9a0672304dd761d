"""Thirty-two processes compile the same network at once, into one directory that is empty."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lesson import digest_of

N_PROCESSES = 64
# Forked from one that has imported everything: importing 64 times would take longer than all else and test nothing.
# Each waits until all are there, for the end of a pipe that closes when the last has started.
CODE = """
import os, sys, traceback
from lesson import digest_of
waiting, start = os.pipe()
children = []
for number in range(int(sys.argv[1])):
    if child := os.fork():
        children.append(child)
        continue
    code = 1
    try:
        os.close(start)
        os.read(waiting, 1)
        os.write(1, (digest_of("full") + "\\n").encode())
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
os.close(start)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_many_processes_compile_at_once(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    monkeypatch.setenv("HOTLOOP_CACHE_DIR", str(cache))
    # The same lines 64 times would tell coverage nothing.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", CODE, str(N_PROCESSES)]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    *digests, codes = done.stdout.splitlines()
    assert codes == str([0] * N_PROCESSES), done.stderr
    assert [path.suffix for path in cache.iterdir()] == [".object"], "one entry, and nothing half written"
    assert len(digests) == N_PROCESSES
    assert set(digests) == {digest_of("full")}
