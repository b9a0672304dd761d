"""``model(x)``, ``model.forward(x)`` and the recorded ``model(x)``, timed in turn."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from hotloop.insight.call.trace import Timing
from hotloop.insight.interval import Interval
from hotloop.insight.measure import Arm, BlockPlan, Budget, Clock, Measurements, collect, difference, level, run_block
from hotloop.insight.statistics import Estimate
from hotloop.insight.verdict import restless

__all__ = ["FEWEST_CALLS", "silent", "time_in_turn"]

_FEWEST_BLOCKS = 5
_PLAN = BlockPlan(seed=0, rounds=3, sample_s=0.001)
_ARMS_WITH_A_A = 4

FEWEST_CALLS = _FEWEST_BLOCKS * _ARMS_WITH_A_A * (_PLAN.rounds + 1)
"""Calls that five blocks need at least, warming up included."""


def time_in_turn(
    call: Callable[[int], object],
    forward: Callable[[int], object],
    recorded: Callable[[int], object],
    *,
    measure_s: float,
    clock: Clock = time.perf_counter,
) -> Timing | None:
    """Time two ways to call a model, and the first while it is recorded.

    Parameters
    ----------
    call, forward, recorded : functions of an int
        Call the model so many times.
    measure_s : float
        When to stop.
    clock : callable, optional
        Seconds.

    Returns
    -------
    Timing or None
        None where fewer than five blocks fit into ``measure_s``.
    """
    arms = (Arm("call", call), Arm("forward", forward), Arm("recorded", recorded))
    budget = Budget(measure_s, least_blocks=_FEWEST_BLOCKS)
    measured = collect(lambda plan: run_block(arms, plan, clock), budget, plan=_PLAN, clock=clock)
    return _concluded(measured) if len(measured.blocks) >= _FEWEST_BLOCKS else None


def _concluded(measured: Measurements) -> Timing:
    runs = sum(int((block.arm == 0).sum()) * block.units for block in measured.blocks)
    return Timing(
        call_ns=_ns(level(measured, "call")),
        forward_ns=_ns(level(measured, "forward")),
        difference_ns=_ns(difference(measured, "call", "forward")),
        observer_ns=_ns(difference(measured, "recorded", "call")),
        restless=restless(measured),
        blocks=len(measured.blocks),
        calls=runs,
    )


def _ns(us: Estimate) -> Interval:
    return us.interval().times(1e3)


@contextmanager
def silent() -> Iterator[None]:
    """Drop what this thread prints: a hook that prints would print thousands of lines."""
    shown = sys.stdout
    sys.stdout = _FromOtherThreads(shown)
    try:
        yield
    finally:
        sys.stdout = shown


class _FromOtherThreads:
    """Standard output without what one thread writes to it."""

    def __init__(self, shown: TextIO):
        self._shown, self._silent = shown, threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._silent else self._shown.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shown, name)
