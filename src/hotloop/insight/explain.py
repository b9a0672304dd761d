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
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hotloop.capture import NotCaptured
from hotloop.engines.choose import ENGINES
from hotloop.engines.eager import needs_closure
from hotloop.errors import ArgumentError, UnsupportedError
from hotloop.insight.advice import advise
from hotloop.insight.explanation import BreakEven, Explanation, Forecast, Ladder, Ledger
from hotloop.insight.forecasting.break_even import break_even_map
from hotloop.insight.forecasting.recommend import Way, forecasts_for, scored
from hotloop.insight.forecasting.work import Work, work_of_task
from hotloop.insight.interval import Interval
from hotloop.insight.loop import Loop
from hotloop.insight.machines.kept_passport import passport_here, shipped_passports
from hotloop.insight.machines.passport import Passport, load_passport
from hotloop.insight.measure import Arm, Block, BlockPlan, Budget, collect, level, run_block
from hotloop.insight.step.floor import floor_of
from hotloop.insight.step.ladder import measure_ladder
from hotloop.insight.step.ledger import measure_ledger
from hotloop.sentence import Sentence, clauses, counted

if TYPE_CHECKING:
    import torch

    from hotloop.engines.task import Task
    from hotloop.hardware import Machine, Measured

__all__ = ["explain", "explain_loop"]

_Times = dict[Way, Interval]

# Shares of the budget: the ledger has the most to tell apart.
_LEDGER, _LADDER, _WAYS = 0.4, 0.35, 0.25
_LEAST_BLOCKS, _MOST_BLOCKS, _SURELY_BLOCKS = 6, 100, 3
# Times between two tables.
_SPEED_CHANGED = 1.1


def explain(
    model: torch.nn.Module,
    X: Any,
    y: Any,
    *,
    loss: Callable[..., Any],
    optimizer: torch.optim.Optimizer,
    epochs: int = 1000,
    batch_size: int | None = None,
    shuffle: bool | None = None,
    drop_last: bool = False,
    sample_weight: Any = None,
    clip_grad_norm: float | None = None,
    budget_s: float = 15.0,
    machines: Sequence[str | os.PathLike[str]] = (),
) -> Explanation:
    """Explain where the time of a training loop goes, how far that is from the limit, and what to change.

    Model and optimizer stay as they are: copies are trained.

    Parameters
    ----------
    model, X, y, loss, optimizer, batch_size, shuffle, drop_last, sample_weight, clip_grad_norm
        As in :func:`hotloop.fit`.
    epochs : int
        Of the run that is asked about.
    budget_s : float
        How long measuring may take. This machine's own figures take some seconds more where they are not known yet.
    machines : sequence of paths
        Passports of other machines, to see what they would give.

    Raises
    ------
    ArgumentError, UnsupportedError
        If the loop cannot run; see :func:`hotloop.fit`.
    SavedRunError
        If a passport cannot be read.
    """
    loop = Loop(
        type(model).__name__,
        model,
        X,
        y,
        loss,
        optimizer,
        epochs,
        batch_size,
        shuffle,
        drop_last,
        sample_weight,
        clip_grad_norm,
    )
    return explain_loop(loop, budget_s=budget_s, elsewhere=[load_passport(path) for path in machines])


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

    started_s = time.monotonic()
    if not budget_s > 0:
        raise ArgumentError(f"budget_s is {budget_s}", do="give a number of seconds above 0")
    task, subject = loop.prepare().task, loop.subject
    if needs_closure(task.optimizer):
        what = f"a step of {type(task.optimizer).__name__} cannot be taken apart"
        raise UnsupportedError(what, why="it runs the model as often as it likes", do="use another optimizer")
    say("machine")
    machine = describe()
    core = _core(machine)
    passport, work = passport_here(), work_of_task(task)
    others = (*elsewhere, *(() if elsewhere else _gpus_met()))
    forecasts = _unforecast(task, passport) if work is None else forecasts_for(work, [passport], others)
    say("ledger")
    ledger = measure_ledger(loop, budget=_budget(_LEDGER * budget_s))
    say("ladder")
    ladder = measure_ladder(loop, budget=_budget(_LADDER * budget_s))
    say("engines")
    ways = scored(forecasts, _measured(loop, ledger, ladder, forecasts, _budget(_WAYS * budget_s)))
    break_even = _break_even(work, passport, others)
    # A peak is easily missed beside other work: the better of two looks counts, and what compiled code has reached.
    core = _better(core, _core(machine))
    least_us = min(rung.us.value for rung in ladder.rungs)
    return Explanation(
        subject=subject,
        ledger=ledger,
        floor=floor_of(task, None if work is None else work.program, core, machine.cpu.l2_bytes, least_us),
        ladder=ladder,
        forecasts=ways,
        break_even=break_even,
        advice=advise(subject, ledger, ladder, ways, break_even, _remedy(task)),
        conditions={**_conditions(machine, task, passport), **_restlessness(ledger, ladder)},
        took_s=time.monotonic() - started_s,
        notes=loop.notes,
    )


def _core(machine: Machine) -> Measured:
    """Return what one core reaches."""
    from hotloop.hardware.measure_cpu import measure_cpu

    return measure_cpu(machine.cpu, machine.memory.available_bytes, threads=(1,))[0]


def _better(one: Measured, other: Measured) -> Measured:
    return replace(
        one,
        gflop_per_s=max(one.gflop_per_s or 0.0, other.gflop_per_s or 0.0) or None,
        bandwidth_gb_per_s=max(one.bandwidth_gb_per_s or 0.0, other.bandwidth_gb_per_s or 0.0) or None,
    )


def _restlessness(ledger: Ledger, ladder: Ladder) -> dict[str, str]:
    """Return a sentence where the same step took another time for the ladder than for the ledger before it."""
    wall, again = ledger.wall_us, ladder.rungs[0].us
    apart = max(wall.value, again.value) / min(wall.value, again.value)
    if apart < _SPEED_CHANGED or (wall.low <= again.high and again.low <= wall.high):
        return {}
    changed = Sentence(
        "the machine changed its speed meanwhile: a step in eager torch took {wall:,.0f} us for the first table and "
        "{again:,.0f} us for the second, so compare figures of one table only",
        wall=wall.value,
        again=again.value,
    )
    return {"speed": changed}


def _unforecast(task: Task, passport: Passport) -> tuple[Forecast, ...]:
    """Return the ways of a loop that cannot be followed: nothing is forecast, eager torch can be measured."""
    refused = ENGINES["native"].refusal(task)
    why = None if refused is None else Sentence("{what}, since {why}", what=refused.what, why=refused.why)
    native = Forecast("native", "cpu", None, 1, None, None, unavailable=why)
    return (native, *(Forecast("eager", "cpu", None, costs.threads, None, None) for costs in passport.torch))


def _remedy(task: Task) -> str | None:
    """Return what to change so that the loop compiles, in a clause, where that is known."""
    refused = ENGINES["native"].refusal(task)
    return refused.instead if isinstance(refused, NotCaptured) else None


def _budget(seconds: float) -> Budget:
    return Budget(seconds, _LEAST_BLOCKS, _MOST_BLOCKS, _SURELY_BLOCKS)


def _measured(loop: Loop, ledger: Ledger, ladder: Ladder, forecasts: Sequence[Forecast], budget: Budget) -> _Times:
    """Return microseconds a step of each way that can be gone here; the ladder has the first two already."""
    rungs = {rung.name: rung.us for rung in ladder.rungs}
    found: _Times = {("eager", ledger.device, ledger.threads): rungs["eager"]}
    if "native" in rungs:
        found["native", "cpu", 1] = rungs["native"]
    ways = [(one.engine, one.device, one.threads) for one in forecasts if one.machine is None and not one.unavailable]
    missing = [way for way in ways if way not in found and way[0] == "eager"]
    for way in missing:
        found[way] = _step_us(loop, way, replace(budget, seconds=budget.seconds / len(missing)))
    return found


def _step_us(loop: Loop, way: Way, budget: Budget) -> Interval:
    """Return microseconds a step of one way, by itself: threads that wait for work slow down whatever runs in turn."""

    def block(plan: BlockPlan) -> Block:
        session = loop.session(engine=way[0], device=way[1], threads=way[2])
        return run_block([Arm("step", lambda units: session.advance(units, None))], plan)

    return level(collect(block, budget), "step").interval()


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
        "machine": Sentence(
            "{name}, {architecture}, {threads}",
            name=cpu.name or platform.machine(),
            architecture=cpu.microarchitecture or "?",
            threads=counted("{n} thread", "{n} threads", cpu.usable_threads or 1),
        ),
        "system": machine.operating_system,
        "versions": f"hotloop {hotloop.__version__}, torch {torch.__version__}, NumPy {np.__version__}",
        "threads": str(task.threads or torch.get_num_threads()),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
    }
    if hasattr(os, "getloadavg"):
        found["load"] = Sentence("{load:.1f} processes wanted to run", load=os.getloadavg()[0])
    figures = Sentence("forecasts rest on figures measured on {date}", date=passport.measured_on)
    found["machine's figures"] = clauses(figures, *passport.notes)
    return found
