"""Where blocks are run: in fresh processes for what can be named, in this one for a loop that Python passes.

::

    bench.survey(claim)                          facts of the loop, and what cannot be tried
    bench.block(claim, experiment, plan)         one block from a fresh start
    bench.blocks(claim, experiment, plan, s)     as many as fit into so many seconds, in one process
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from hotloop.engines.threads import torch_threads
from hotloop.insight.claims import find_claim
from hotloop.insight.claims.claim import Experiment, Workbench
from hotloop.insight.claims.evidence import Facts
from hotloop.insight.claims.facts import facts_of
from hotloop.insight.measure import Block, BlockPlan, Budget, Clock, collect, run_block

if TYPE_CHECKING:
    from hotloop.insight.fork_server import ForkServer
    from hotloop.insight.loop import Loop

__all__ = ["Bench", "Blocks", "FreshProcesses", "InThisProcess", "Survey"]

# The rest is for what comes before and after.
_SHARE_MEASURED = 0.85


@dataclass(frozen=True)
class Survey:
    """What is known of a loop before measuring.

    Parameters
    ----------
    facts : Facts
    missing : dict of str
        Why an experiment cannot be tried.
    """

    facts: Facts
    missing: dict[str, str]


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of one experiment, and what was found out while its arms were made."""

    blocks: list[Block]
    figures: dict[str, float]


class Bench(Protocol):
    """Runs the experiments of claims on one loop."""

    def survey(self, claim: str) -> Survey:
        """Return what is known of the loop, and which of the claim's experiments cannot be tried."""

    def block(self, claim: str, experiment: str, plan: BlockPlan, own_time: bool = False) -> Blocks:
        """Run one block from a fresh start, by the thread's own time where the experiment allows it."""

    def blocks(self, claim: str, experiment: str, plan: BlockPlan, seconds: float, own_time: bool = False) -> Blocks:
        """Run blocks of the same arms until so many seconds are over."""


class InThisProcess:
    """Measures a loop in this very process, with fresh copies of it for each block.

    torch gets as many threads as ``fit`` would give it: a second one for a small step waits for the first at each
    operation, and for whatever else keeps its core busy, which would drown what is asked about.

    Parameters
    ----------
    loop : Loop
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def survey(self, claim: str) -> Survey:
        """Return what is known of the loop; see :class:`Bench`."""
        reasons = {each.name: each.needs(self._loop) for each in find_claim(claim).experiments}
        with torch_threads(self._threads):
            return Survey(facts_of(self._loop), {name: why for name, why in reasons.items() if why})

    def block(self, claim: str, experiment: str, plan: BlockPlan, own_time: bool = False) -> Blocks:
        """Run one block; see :class:`Bench`."""
        ballast = _ballast(plan.seed)
        workbench, asked = Workbench(self._loop), find_claim(claim).experiment(experiment)
        with torch_threads(self._threads), workbench.afterwards:
            block = run_block(asked.arms(workbench), plan, _clock(asked, own_time))
        del ballast
        return Blocks([block], workbench.figures)

    def blocks(self, claim: str, experiment: str, plan: BlockPlan, seconds: float, own_time: bool = False) -> Blocks:
        """Run blocks of the same arms; see :class:`Bench`."""
        workbench = Workbench(self._loop)
        asked = find_claim(claim).experiment(experiment)
        began_s = time.monotonic()
        with torch_threads(self._threads), workbench.afterwards:
            arms = asked.arms(workbench)
            budget = Budget(began_s + seconds * _SHARE_MEASURED - time.monotonic())
            run = partial(run_block, arms, clock=_clock(asked, own_time))
            found = collect(run, budget, enough=asked.narrow, plan=plan)
        return Blocks(list(found.blocks), workbench.figures)

    @cached_property
    def _threads(self) -> int | None:
        return self._loop.prepare().task.threads


def _clock(experiment: Experiment, own_time: bool) -> Clock:
    return time.thread_time if own_time and not experiment.waits else time.perf_counter


def _ballast(seed: int) -> list[bytearray]:
    """Fill some memory, so that what is allocated next lies elsewhere in each block.

    Forked processes are laid out alike; where things lie can change times by a few percent (Curtsinger and Berger,
    Stabilizer, 2013), which must not look like an effect of one arm.
    """
    draw = random.Random(seed)
    return [bytearray(draw.randrange(16, 8192)) for _ in range(64)]


class FreshProcesses:
    """Measures what can be named, each block in a process of its own.

    Parameters
    ----------
    server : ForkServer
        Serves :func:`hotloop.insight.claims.process.work`.
    subject : str
        A table, or whatever else the server makes a loop of.
    """

    def __init__(self, server: ForkServer, subject: str) -> None:
        self._server, self._subject = server, subject

    def survey(self, claim: str) -> Survey:
        """Return what is known of the loop; see :class:`Bench`."""
        found = self._call("survey", None, claim)
        return Survey(Facts.from_json(found["facts"]), found["missing"])

    def block(self, claim: str, experiment: str, plan: BlockPlan, own_time: bool = False) -> Blocks:
        """Run one block; see :class:`Bench`."""
        return _blocks(self._call("block", None, claim, experiment=experiment, plan=asdict(plan), own_time=own_time))

    def blocks(self, claim: str, experiment: str, plan: BlockPlan, seconds: float, own_time: bool = False) -> Blocks:
        """Run blocks of the same arms; see :class:`Bench`. What has not ended by then is ended."""
        asked = {"experiment": experiment, "plan": asdict(plan), "own_time": own_time}
        return _blocks(self._call("blocks", seconds, claim, seconds=seconds, **asked))

    def _call(self, work: str, timeout_s: float | None, claim: str, **arguments: Any) -> Any:
        return self._server.call(work, {"subject": self._subject, "claim": claim, **arguments}, timeout_s)


def _blocks(data: Any) -> Blocks:
    return Blocks([Block.from_json(block) for block in data["blocks"]], data["figures"])
