"""Explaining a loop: forecast first, then measure, then say what follows.

::

    passport    what this machine takes for each kind of work (kept between runs)
    forecasts   of every engine, device and number of threads, before anything of this loop runs
    ledger      where the time of an eager step goes
    ladder      what each convenience costs
    ways        every engine and number of threads that is here, measured; the forecasts are scored by it
    advice      sentences with figures
"""

from __future__ import annotations

import datetime
import platform
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hotloop.insight.advice import advise
from hotloop.insight.break_even import break_even_map
from hotloop.insight.explanation import BreakEven, Explanation, Forecast
from hotloop.insight.floor import floor_of
from hotloop.insight.interval import Interval
from hotloop.insight.kept_passport import passport_here, shipped_passports
from hotloop.insight.ladder import NATIVE_STEPS, measure_ladder
from hotloop.insight.ledger import measure_ledger
from hotloop.insight.loop import Loop
from hotloop.insight.measure import Arm, Block, BlockPlan, Budget, collect, level, run_block
from hotloop.insight.passport import Passport
from hotloop.insight.recommend import Way, forecasts_for, scored
from hotloop.insight.work import Work, work_of_task

if TYPE_CHECKING:
    from hotloop.engines.task import Task
    from hotloop.hardware import Machine

__all__ = ["explain_loop"]

# Shares of the budget: the ledger has the most to tell apart.
_LEDGER, _LADDER, _WAYS = 0.4, 0.35, 0.25
_LEAST_BLOCKS, _MOST_BLOCKS = 6, 100


def explain_loop(
    loop: Loop,
    *,
    budget_s: float = 15.0,
    elsewhere: Sequence[Passport] = (),
    say: Callable[[str], None] = lambda stage: None,
) -> Explanation:
    """Return where the time of a loop goes on this machine's CPU, and what to change.

    Parameters
    ----------
    loop : Loop
    budget_s : float
        Of measuring this loop. The machine's own figures take some seconds more where they are not known yet.
    elsewhere : sequence of Passport
        Of other machines, to see what they would give.
    say : function of a str
        Told what is being done, by "machine", "ledger", "ladder" and "engines".

    Raises
    ------
    ArgumentError, UnsupportedError
        If the loop cannot run; see :func:`hotloop.fit`.
    """
    from hotloop.hardware import describe
    from hotloop.hardware.measure_cpu import measure_cpu

    started_s = time.monotonic()
    task = loop.prepare().task
    say("machine")
    machine = describe()
    core = measure_cpu(machine.cpu, machine.memory.available_bytes)[0]
    passport, work = passport_here(), work_of_task(task)
    others = (*elsewhere, *(() if elsewhere else _gpus_met()))
    forecasts = () if work is None else forecasts_for(work, [passport], others)
    say("ledger")
    ledger = measure_ledger(loop, budget=_budget(_LEDGER * budget_s))
    say("ladder")
    ladder = measure_ladder(loop, budget=_budget(_LADDER * budget_s))
    say("engines")
    ways = scored(forecasts, _measure(loop, forecasts, _budget(_WAYS * budget_s)))
    break_even = _break_even(work, passport, others)
    subject = loop.subject
    return Explanation(
        subject=subject,
        ledger=ledger,
        floor=floor_of(task, None if work is None else work.program, core, machine.cpu.l2_bytes),
        ladder=ladder,
        forecasts=ways,
        break_even=break_even,
        advice=advise(subject, ledger, ways, break_even),
        conditions=_conditions(machine, task, passport),
        took_s=time.monotonic() - started_s,
    )


def _budget(seconds: float) -> Budget:
    return Budget(seconds, _LEAST_BLOCKS, _MOST_BLOCKS)


def _measure(loop: Loop, forecasts: Sequence[Forecast], budget: Budget) -> dict[Way, Interval]:
    """Return microseconds a step of each way that can be gone here."""
    here = [way for way in forecasts if way.machine is None and way.unavailable is None and way.device == "cpu"]
    # The base of the comparison is eager torch: its steps are long enough to set the length of a sample.
    ways = sorted(((way.engine, way.device, way.threads) for way in here), key=lambda way: way[0] != "eager")
    if not ways:
        return {}

    def block(plan: BlockPlan) -> Block:
        return run_block([_arm(loop, way) for way in ways], plan)

    measured = collect(block, budget)
    return {way: level(measured, _name(way)).interval() for way in ways}


def _arm(loop: Loop, way: Way) -> Arm:
    engine, device, threads = way
    session = loop.session(engine=engine, device=device, threads=threads)
    return Arm(_name(way), lambda units: session.advance(units, None), times=NATIVE_STEPS if engine == "native" else 1)


def _name(way: Way) -> str:
    return " ".join(map(str, way))


def _gpus_met() -> tuple[Passport, ...]:
    return tuple(passport for passport in shipped_passports() if passport.device != "cpu")


def _break_even(work: Work | None, cpu: Passport, others: Sequence[Passport]) -> BreakEven | None:
    gpu = next((passport for passport in others if passport.device != "cpu"), None)
    return None if gpu is None or work is None else break_even_map(work, cpu, gpu)


def _conditions(machine: Machine, task: Task, passport: Passport) -> dict[str, str]:
    import numpy as np
    import torch

    import hotloop

    cpu = machine.cpu
    found = {
        "machine": f"{cpu.name or platform.machine()}, {cpu.microarchitecture or '?'}, {cpu.usable_threads} threads",
        "system": machine.operating_system,
        "versions": f"hotloop {hotloop.__version__}, torch {torch.__version__}, NumPy {np.__version__}",
        "threads": str(task.threads or torch.get_num_threads()),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
    }
    if passport.notes:
        found["machine's figures"] = f"{passport.measured_on}; {'; '.join(passport.notes)}"
    return found
