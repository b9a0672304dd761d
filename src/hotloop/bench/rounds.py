"""All contenders in each round, in an order drawn anew, and the first of them once more as A/A."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hotloop.bench.result import Absent
from hotloop.insight.measure import A_A, Block, Measurements

__all__ = ["Rounds", "in_one_line", "run_rounds"]

StepTime = Callable[[], float]
"""Trains once; returns seconds a step."""


@dataclass(frozen=True, eq=False)
class Rounds:
    """What the rounds gave.

    Parameters
    ----------
    measurements : Measurements or None
        A block for each round, a unit being a step; None if nobody came through.
    failed : tuple of Absent
        Who did not come through all rounds.
    """

    measurements: Measurements | None
    failed: tuple[Absent, ...]

    def us_per_step(self, name: str) -> tuple[float, ...]:
        """Return a contender's microseconds a step of each round."""
        assert self.measurements is not None
        place = self.measurements.names.index(name)
        return tuple(self.measurements.per_block_us()[:, place].tolist())


def run_rounds(
    contenders: Mapping[str, StepTime],
    rounds: int,
    seed: int = 0,
    on_round: Callable[[int], None] = lambda number: None,
) -> Rounds:
    """Run one round to warm up caches, allocators and clocks, then as many as asked for.

    Parameters
    ----------
    contenders : mapping
        By name, at least one; the first is the base, which runs twice a round.
    rounds : int
    seed : int
        Of the orders.
    on_round : function
        Called with 0 before warming up, then with the number of each round.
    """
    base = next(iter(contenders))
    running, failed = dict(contenders), list[Absent]()
    rng, seconds = np.random.default_rng(seed), [dict[str, float]() for _ in range(rounds + 1)]
    for number, taken in enumerate(seconds):
        on_round(number)
        for arm in rng.permutation([*contenders, A_A]).tolist():
            name = base if arm == A_A else arm
            if name in running:
                try:
                    taken[arm] = running[name]()
                except Exception as error:
                    failed.append(Absent(name, in_one_line(error)))
                    del running[name]
    arms = [*running, A_A] if base in running else list(running)
    return Rounds(_measurements(arms, seconds[1:]), tuple(failed))


def _measurements(arms: list[str], rounds: list[dict[str, float]]) -> Measurements | None:
    order = np.arange(len(arms))
    blocks = tuple(
        Block(tuple(arms), (0.0,) * len(arms), 1, order, np.array([taken[arm] for arm in arms])) for taken in rounds
    )
    return Measurements(blocks, "blocks") if arms else None


def in_one_line(error: BaseException) -> str:
    """Return what an error says, on one line of bounded length."""
    said = " ".join(str(error).split()) or "without a word"
    return f"{type(error).__name__}: {said}"[:300]
