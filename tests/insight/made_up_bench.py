"""A bench whose machine is made up: every arm takes a known time, and blocks are told to the test."""

from __future__ import annotations

import numpy as np
from noisy_machine import NoisyMachine

from hotloop.errors import HotloopError
from hotloop.insight.claims.bench import Blocks, Survey
from hotloop.insight.claims.evidence import Facts
from hotloop.insight.claims.figures import a_step
from hotloop.insight.explanation import Subject
from hotloop.insight.measure import Arm, run_block

SUBJECT = Subject("iris", "4-10-3", 83, 120, 4, 120, 20_000, "SGD", "CrossEntropyLoss")


def facts(**changes):
    kept = {"epochs": 20_000, "flop": 40_800.0, "threads": 1, "usable_threads": 2, "accelerator": None}
    return Facts(SUBJECT, **{**kept, "own_time": False, **changes})


def recording_truths(cost_us, *, base_us=130.0, item_us=None, grown_us=0.03, bend_us=0.0, first_us=0.0):
    """Return what the arms of the claim "recording" take where a record costs so much, and a step's first one more."""
    item = cost_us if item_us is None else item_us
    levels = [
        (a_step(m, "record"), m, base_us + m * cost_us + bend_us * (m == 4) + first_us * (m > 0))
        for m in (0, 1, 2, 4, 8, 16)
    ]
    return {
        "records": levels,
        "real": [
            ("a record every 100 steps", 0, base_us + (cost_us + first_us) / 100),
            ("a record every step", 0, base_us + cost_us + first_us),
        ],
        "compute": [
            ("a step in eager torch", 0, base_us),
            ("its arithmetic at this core's peak", 0, 0.17),
            ("the step, compiled", 0, 0.42),
        ],
        "item": [("reading an old loss", 0, base_us + 0.4), ("reading the step's own loss", 0, base_us + item)],
        "runs": [("a step in eager torch", 0, base_us)],
        "append": [("at 10", 0, 0.03), ("at 1,000", 0, 0.03), ("at 100,000", 0, 0.03), ("at 1,000,000", 0, grown_us)],
    }


class MadeUpBench:
    """Runs blocks on a noisy machine.

    Parameters
    ----------
    machine : NoisyMachine
    truths : dict
        Of each experiment its arms: name, lever, microseconds a unit.
    missing : dict of str
    failing : dict of int
        Experiments whose blocks raise from that number on.
    starting_s : float
        How long the survey takes.
    """

    def __init__(self, machine, truths, *, missing=None, failing=None, starting_s=0.0, known=None):
        self.machine, self.truths = machine, truths
        self.missing = {"gpu": "torch sees no GPU here"} if missing is None else missing
        self.failing, self.starting_s, self.known = failing or {}, starting_s, known or facts()
        self.ran = []

    def survey(self, claim):
        self.machine.now_s += self.starting_s
        return Survey(self.known, self.missing)

    def block(self, claim, experiment, plan, own_time=False):
        self.ran.append(experiment)
        if self.ran.count(experiment) > self.failing.get(experiment, np.inf):
            raise HotloopError("a measurement failed", why="the process was ended by signal 9")
        self.machine.new_block()
        arms = [Arm(name, self.machine.work(us), lever) for name, lever, us in self.truths[experiment]]
        return Blocks([run_block(arms, plan, self.machine.clock)], {})

    def blocks(self, claim, experiment, plan, seconds, own_time=False):
        began_s, blocks = self.machine.now_s, []
        while self.machine.now_s < began_s + seconds:
            blocks += self.block(claim, experiment, plan).blocks
        return Blocks(blocks, {"compile_s": 3.0})


def calm(seed=0):
    """Return a machine like an ordinary one that does little else."""
    return NoisyMachine(seed, mood=0.02, jitter=0.005, interrupted=0.02)
