"""What a fork server of claims imports before it forks, seen from a forked process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hotloop.insight.claims.bench import InThisProcess
from hotloop.insight.claims.process import import_what_loops_need
from hotloop.insight.fork_server import serve
from hotloop.insight.loop import loop_of_table
from hotloop.insight.measure import BlockPlan


def imported_by_a_block():
    before = set(sys.modules)
    InThisProcess(loop_of_table("iris")).block("recording", "records", BlockPlan(0, 1, 0.001))
    return sorted(set(sys.modules) - before)


def threads():
    # Of the server: they would be missing in what it forks.
    folder = Path(f"/proc/{os.getppid()}/task")
    return len(list(folder.iterdir())) if folder.is_dir() else 1


def main():
    serve({"imported_by_a_block": imported_by_a_block, "threads": threads}, [import_what_loops_need])
