"""The ledger: where the wall time of a step goes, in lines that add up to it.

Two arms of one experiment: the loop as it is, timed from outside, and the same loop watched (``watched_session.py``).
Of each block the fastest third of either arm's runs counts: what makes others slower is no part of a step, and seldom
happens to both alike. So three things are measured apart and compared: the wall time, the lines, and what watching
added. Where watching changed too much, or lines and wall time disagree, the ledger refuses to conclude.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hotloop.engines.interface import Session
from hotloop.engines.threads import torch_threads
from hotloop.insight.explanation import Ledger, LedgerLine
from hotloop.insight.interval import Interval
from hotloop.insight.loop import Loop
from hotloop.insight.measure import Arm, Block, BlockPlan, Budget, Clock, collect, run_block
from hotloop.insight.statistics import bootstrap_parts
from hotloop.insight.step.watched_session import PHASES, Readings, WatchedSession
from hotloop.sentence import Sentence

__all__ = ["measure_ledger"]

# Beyond these shares of the wall time, lines say more about the observer than about the loop.
_MOST_DISTORTION = 0.10
_MOST_RESIDUAL = 0.05
# Long samples: what is done once in each (thread numbers set, losses put together) belongs to none of its steps.
_PLAN = BlockPlan(seed=0, sample_s=0.015)


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
    # Of each block: the wall time, that of watched steps, and the lines.
    figures_us: list[NDArray[np.float64]] = []

    def block(plan: BlockPlan) -> Block:
        plain = loop.session(device=device, threads=threads)
        watched = WatchedSession(loop.prepare(device=device, threads=threads).task, clock)
        runs: list[Readings] = []

        def run_watched(units: int) -> None:
            watched.advance(units, None)
            runs.append(watched.last)

        found = run_block([Arm("plain", _advance(plain)), Arm("watched", run_watched)], plan, clock)
        (wall_s, _plain), (probed_s, fastest) = (_fastest(found, name) for name in ("plain", "watched"))
        phases_s = [watched.phases_s(runs[-plan.rounds :][run]) for run in fastest]
        lines_s = [np.mean([phases.get(name, 0.0) for phases in phases_s]) for name in PHASES]
        figures_us.append(np.array([wall_s, probed_s, *lines_s]) / found.units * 1e6)
        return found

    collect(block, budget, plan=plan or _PLAN)
    return _ledger(np.array(figures_us), device, _threads_used(loop, threads))


def _fastest(block: Block, name: str) -> tuple[float, list[int]]:
    """Return the mean time of the fastest third of an arm's runs, seconds, and which of its runs they are."""
    seconds = block.seconds[block.arm == block.names.index(name)]
    fastest = np.argsort(seconds, kind="stable")[: max(1, len(seconds) // 3)]
    return float(seconds[fastest].mean()), fastest.tolist()


def _threads_used(loop: Loop, threads: int | None) -> int:
    import torch

    with torch_threads(loop.prepare(threads=threads).task.threads):
        return torch.get_num_threads()


def _advance(session: Session) -> Callable[[int], object]:
    return lambda units: session.advance(units, None)


def _ledger(figures_us: NDArray[np.float64], device: str, threads: int) -> Ledger:
    """Return the ledger of blocks: of each the wall time, the time of watched steps, and the lines."""
    wall_us, probed_us, lines_us = figures_us[:, 0], figures_us[:, 1], figures_us[:, 2:]
    residual_us, observer_us = wall_us - lines_us.sum(axis=1), probed_us - wall_us
    # Over the same blocks all of them, so that the lines and what they leave unexplained add up to the wall time.
    parts = np.column_stack([wall_us, residual_us, observer_us, lines_us])
    wall, residual, observer, *found = (each.interval() for each in bootstrap_parts(parts, wall_us + probed_us))
    lines = [
        LedgerLine(name, us, us.value / wall.value)
        for name, us, of_blocks in zip(PHASES, found, lines_us.T, strict=True)
        if of_blocks.any()
    ]
    return Ledger("eager", device, threads, tuple(lines), wall, residual, observer, _refusal(wall, residual, observer))


def _refusal(wall: Interval, residual: Interval, observer: Interval) -> Sentence | None:
    if observer.value > _MOST_DISTORTION * wall.value:
        return Sentence(
            "watching added {share:.0%} to a step: the lines say more about the clock than the loop",
            share=observer.value / wall.value,
        )
    if abs(residual.value) > _MOST_RESIDUAL * wall.value:
        return Sentence(
            "the lines miss the wall time by {share:.0%}: the machine was too restless",
            share=abs(residual.value) / wall.value,
        )
    return None
