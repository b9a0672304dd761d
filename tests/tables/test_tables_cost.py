"""Reading and preparing is quick, and takes little memory beyond its result."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

# In a fresh process, since the peak of a process never falls. The small table first, so that what
# the libraries set up once for any table (thread pools) counts as theirs.
MEASURE = """
import json, resource, sys, time
import narwhals, numpy, polars
from hotloop import tables

def peak_bytes():
    if sys.platform == "linux":  # where ru_maxrss begins with what the parent process had
        return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

if sys.argv[2] == "warm":
    tables.prepare(tables.read(tables.__path__[0] + "/data/iris.csv"))
before, start = peak_bytes(), time.perf_counter()
prepared = tables.prepare(tables.read(sys.argv[1]))
duration_s = time.perf_counter() - start
print(json.dumps({"duration_s": duration_s, "rise_bytes": peak_bytes() - before, "rows": len(prepared.X_train)}))
"""


def measure(path: Path, *, warm: bool) -> dict[str, float]:
    arguments = [sys.executable, "-c", MEASURE, str(path), "warm" if warm else "cold"]
    return json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def write_floats(path: Path, n_rows: int) -> Path:
    random = np.random.default_rng(0)
    pl.DataFrame({f"x{i}": random.normal(size=n_rows) for i in range(20)}).write_csv(path)
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_memory_of_a_middling_table(tmp_path):
    measured = measure(write_floats(tmp_path / "floats.csv", 200_000), warm=True)
    # Held in the end: the frame in float64 (2 tables), the inputs in float32 (1).
    # The rest is blocks being read, which do not grow with the table.
    table_bytes = 200_000 * 20 * 4
    assert measured["rows"] == 160_000
    assert measured["rise_bytes"] < 4 * table_bytes + 30e6


@pytest.mark.timing
@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_a_million_rows_of_twenty_columns(tmp_path):
    path = write_floats(tmp_path / "floats.csv", 1_000_000)
    runs = [measure(path, warm=False) for _ in range(3)]
    table_bytes = 1_000_000 * 20 * 4
    assert min(run["duration_s"] for run in runs) < 3
    assert min(run["rise_bytes"] for run in runs) < 4 * table_bytes


def test_importing_the_package_imports_nothing_heavy():
    heavy = ["torch", "polars", "narwhals", "pandas", "pyarrow", "sklearn", "scipy", "matplotlib", "rich"]
    code = f"import sys, hotloop.tables; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
