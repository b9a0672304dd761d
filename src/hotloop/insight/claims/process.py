"""What the fork server of claims does: facts and blocks of a loop that has a name."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hotloop.config import debug_level
from hotloop.insight.claims.bench import Blocks, InThisProcess
from hotloop.insight.fork_server import Work, serve
from hotloop.insight.loop import Loop, loop_of_table
from hotloop.insight.measure import BlockPlan

__all__ = ["START", "import_what_loops_need", "main", "work"]

START = "from hotloop.insight.claims.process import main; main()"
"""How :class:`hotloop.insight.fork_server.ForkServer` starts it."""


def main() -> None:
    """Serve claims about tables."""
    serve(work(loop_of_table), [import_what_loops_need])


def import_what_loops_need() -> None:
    """Import what building and running a loop imports; a test compares."""
    import psutil  # noqa: F401
    import torch._dynamo  # torch's optimizers import it when the first one is made
    import torch.profiler._cupti_monitor  # noqa: F401, and this when it makes its first step

    import hotloop.capture.program
    import hotloop.hardware
    import hotloop.runs.run
    import hotloop.tables.read
    import hotloop.training.prepare
    import hotloop.training.train_table  # noqa: F401


def work(loop_of: Callable[[str], Loop]) -> Work:
    """Return what the server can be asked for.

    Parameters
    ----------
    loop_of : function of str
        Makes a loop of a subject.
    """

    def survey(subject: str, claim: str) -> dict[str, Any]:
        # The one time that what a person's file prints is shown.
        return asdict(InThisProcess(loop_of(subject)).survey(claim))

    def block(subject: str, claim: str, experiment: str, plan: dict[str, Any], own_time: bool) -> dict[str, Any]:
        _silence()
        return _json(InThisProcess(loop_of(subject)).block(claim, experiment, BlockPlan(**plan), own_time))

    def blocks(
        subject: str, claim: str, experiment: str, plan: dict[str, Any], seconds: float, own_time: bool
    ) -> dict[str, Any]:
        _silence()
        return _json(InThisProcess(loop_of(subject)).blocks(claim, experiment, BlockPlan(**plan), seconds, own_time))

    return {"survey": survey, "block": block, "blocks": blocks}


def _json(found: Blocks) -> dict[str, Any]:
    return {"blocks": [block.to_json() for block in found.blocks], "figures": found.figures}


def _silence() -> None:
    """Let what is printed lead nowhere: the same lines a hundred times would hide the progress line."""
    if debug_level() > 0:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.close(nowhere)
