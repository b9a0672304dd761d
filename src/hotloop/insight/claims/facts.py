"""What is known of a loop without measuring it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from hotloop.insight.claims.evidence import Facts

if TYPE_CHECKING:
    from hotloop.insight.loop import Loop

__all__ = ["facts_of", "step_flop", "usable_threads"]

_FINE_S = 1e-5


def facts_of(loop: Loop) -> Facts:
    """Return what is known of a loop without measuring it."""
    import torch

    from hotloop.hardware import available_accelerator

    flop = step_flop(loop)
    return Facts(
        subject=loop.subject,
        epochs=loop.epochs,
        flop=flop,
        threads=torch.get_num_threads(),
        usable_threads=usable_threads(),
        accelerator=available_accelerator(),
        own_time=_has_own_time(flop),
    )


def _has_own_time(flop: float | None) -> bool:
    """Whether one thread does all of a step, and its own time can be read closely enough."""
    import torch

    from hotloop.engines.step_size import FLOP_WORTH_A_SECOND_THREAD

    # Windows counts it in steps of 15 ms.
    if time.get_clock_info("thread_time").resolution > _FINE_S:
        return False
    return torch.get_num_threads() == 1 or (flop is not None and flop < FLOP_WORTH_A_SECOND_THREAD)


def step_flop(loop: Loop) -> float | None:
    """Return the floating point operations of a step's matrix products; None where the model cannot be followed."""
    from hotloop.insight.forecasting.work import work_of_task

    work = work_of_task(loop.prepare().task)
    return None if work is None else work.flop or None


def usable_threads() -> int:
    """Return how many threads this process may run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
