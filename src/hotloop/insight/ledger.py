"""The ledger: where the wall time of a step goes, in lines that add up to it.

Two arms of one experiment: the loop as it is, timed from outside, and the same loop watched
(``watched_session.py``), whose lines are taken from the run with the middle time of each block. So three things are
measured apart and compared: the wall time, the lines, and what watching added. Where watching changed too much, or
lines and wall time disagree, the ledger refuses to conclude.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.interface import Session
from hotloop.engines.task import Task
from hotloop.engines.threads import torch_threads
from hotloop.insight.explanation import Ledger, LedgerLine
from hotloop.insight.interval import Interval
from hotloop.insight.loop import Loop
from hotloop.insight.measure import Arm, Block, BlockPlan, Budget, Clock, collect, run_block
from hotloop.insight.statistics import bootstrap
from hotloop.insight.watched_session import PHASES, WatchedSession
from hotloop.language import _

__all__ = ["measure_ledger"]

# Beyond these shares of the wall time, lines say more about the observer than about the loop.
_MOST_DISTORTION = 0.10
_MOST_RESIDUAL = 0.05


class _Watched:
    """One block's watched arm: keeps the lines of each of its runs."""

    def __init__(self, session: WatchedSession):
        self._session = session
        self.lines_us: list[NDArray[np.float64]] = []

    def run(self, units: int) -> None:
        self._session.advance(units, None)
        phases_s = self._session.phases_s
        self.lines_us.append(np.array([phases_s.get(name, 0.0) for name in PHASES]) / units * 1e6)


def measure_ledger(
    loop: Loop,
    *,
    device: str = "cpu",
    threads: int | None = None,
    budget: Budget,
    plan: BlockPlan | None = None,
    clock: Clock = time.perf_counter,
) -> Ledger:
    """Return where the time of a step in eager torch goes.

    Parameters
    ----------
    loop : Loop
    device : str
    threads : int, optional
        Of torch; by default what ``fit`` would choose.
    budget : Budget
    plan : BlockPlan, optional
        Of the first block.
    clock : Clock
        Read by the probes, and for the wall time.
    """
    tasks: list[Task] = []
    lines_us: list[NDArray[np.float64]] = []

    def block(plan: BlockPlan) -> Block:
        task = loop.prepare(device=device, threads=threads).task
        plain = loop.session(device=device, threads=threads)
        watched = _Watched(WatchedSession(task, clock))
        found = run_block([Arm("plain", _advance(plain)), Arm("watched", watched.run)], plan, clock)
        tasks.append(task)
        lines_us.append(_lines_of_middle_run(found, watched.lines_us[-plan.rounds :]))
        return found

    measured = collect(block, budget, plan=plan)
    us = measured.per_block_us()
    with torch_threads(tasks[0].threads):
        import torch

        used = torch.get_num_threads()
    wall, probed = (us[:, measured.names.index(name)] for name in ("plain", "watched"))
    return _ledger(np.array(lines_us), wall, probed, device, used)


def _advance(session: Session) -> Callable[[int], object]:
    return lambda units: session.advance(units, None)


def _lines_of_middle_run(block: Block, lines_us: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the lines of the watched run whose time is the middle one: of one run, so that they add up."""
    seconds = block.seconds[block.arm == block.names.index("watched")]
    return lines_us[int(np.argsort(seconds)[len(seconds) // 2])]


def _ledger(
    lines_us: NDArray[np.float64],
    wall_us: NDArray[np.float64],
    probed_us: NDArray[np.float64],
    device: str,
    threads: int,
) -> Ledger:
    """Return the ledger of blocks: lines of shape (blocks, phases), wall times of shape (blocks,)."""
    wall = bootstrap(wall_us).interval()
    residual = bootstrap(wall_us - lines_us.sum(axis=1)).interval()
    observer = bootstrap(probed_us - wall_us).interval()
    lines = []
    for name, of_blocks in zip(PHASES, lines_us.T, strict=True):
        if of_blocks.any():
            us = bootstrap(of_blocks).interval()
            lines.append(LedgerLine(name, us, us.value / wall.value))
    return Ledger("eager", device, threads, tuple(lines), wall, residual, observer, _refusal(wall, residual, observer))


def _refusal(wall: Interval, residual: Interval, observer: Interval) -> str | None:
    if observer.value > _MOST_DISTORTION * wall.value:
        return _("watching added {share:.0%} to a step: the lines say more about the clock than the loop").format(
            share=observer.value / wall.value
        )
    if abs(residual.value) > _MOST_RESIDUAL * wall.value:
        return _("the lines miss the wall time by {share:.0%}: the machine was too restless").format(
            share=abs(residual.value) / wall.value
        )
    return None
