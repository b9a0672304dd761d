"""The measuring core: what one thing costs more than another, on a machine that does other things too.

::

    arms      what is compared: functions that do so many units of work (steps, calls); the first is the base
    block     one fresh start (of a process, or of the arms): every round runs all arms once, in random order
    collect   blocks, until an interval is narrow enough or time is up; several experiments in turn: Collection
    ratio, difference, slope, spread    what the blocks say, with intervals (statistics.py); verdict.py concludes

One arm more is measured than asked for: A/A, the base once again under another name. Two names for the same thing must
not differ; where they do, the machine was too restless and ``verdict.judge`` voids the run.

Nothing here reads a clock of its own: the clock is given, so that tests measure made-up time exactly. Raw times are
kept (``Measurements.to_json``) and can be judged again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.errors import SavedRunError
from hotloop.insight.statistics import Bends, Estimate, bends, bootstrap, deviation, drift, steady_from

__all__ = [
    "A_A",
    "Arm",
    "Block",
    "BlockPlan",
    "Budget",
    "Clock",
    "Collection",
    "Measurements",
    "collect",
    "difference",
    "level",
    "linearity",
    "ratio",
    "run_block",
    "slope",
    "spread",
]

Clock = Callable[[], float]
"""Returns seconds that only ever grow."""

A_A = "A/A"
"""The name of the arm that is the base once again."""

# Between two looks at the interval, so that looking costs little: a fifth more blocks.
_LOOK_AGAIN = 1.2
_MOST_UNITS = 1 << 30
_LEAST_SPEED = 0.1


@dataclass(frozen=True)
class Arm:
    """One of the things compared.

    Parameters
    ----------
    name : str
    run : function of an int
        Does so many units of work.
    lever : float
        How much of what is asked about a unit contains, such as records per step; for slopes.
    times : int
        How often it does each unit: many times where it is so much faster that its time could not be read else.
    before : function, optional
        Run before each sample, outside of its time: switches what the sample is about.
    """

    name: str
    run: Callable[[int], object]
    lever: float = 0.0
    times: int = 1
    before: Callable[[], object] | None = None


@dataclass(frozen=True)
class BlockPlan:
    """How a block is run.

    Parameters
    ----------
    seed : int
        Of the order of the arms.
    rounds : int
        How often each arm is run.
    sample_s : float
        About how long each run should take.
    units : int, optional
        Units of work in a run; by default found by trying the base.
    """

    seed: int
    rounds: int = 7
    sample_s: float = 0.005
    units: int | None = None


@dataclass(frozen=True, eq=False)
class Block:
    """The times of one block, in the order in which they were taken.

    Parameters
    ----------
    names : tuple of str
        The arms; the last is A/A.
    levers : tuple of float
    units : int
        Units of work in each run.
    arm : int array of shape (samples,)
        Which arm ran.
    seconds : float64 array of shape (samples,)
        How long that many units took.
    """

    names: tuple[str, ...]
    levers: tuple[float, ...]
    units: int
    arm: NDArray[np.int64]
    seconds: NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """Return the block as JSON objects, arrays, strings and numbers."""
        return {
            "names": list(self.names),
            "levers": list(self.levers),
            "units": self.units,
            "arm": self.arm.tolist(),
            "seconds": self.seconds.tolist(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Block:
        """Return the block that :meth:`to_json` described.

        Raises
        ------
        SavedRunError
            If it is not one.
        """
        try:
            arm, seconds = np.array(data["arm"], dtype=np.int64), np.array(data["seconds"], dtype=np.float64)
            block = cls(tuple(map(str, data["names"])), tuple(map(float, data["levers"])), data["units"], arm, seconds)
            n = len(block.names)
            whole = arm.shape == seconds.shape and arm.ndim == 1 and n == len(block.levers) and block.units >= 1
            if (
                whole
                and np.isfinite(seconds).all()
                and (seconds > 0).all()
                and set(arm.tolist()) == set(range(n))
                and n >= 2
            ):
                return block
        except (KeyError, TypeError, ValueError, OverflowError):
            pass
        raise SavedRunError("this is no block of measurements", do="use a file that hotloop has written")

    @property
    def medians_us(self) -> NDArray[np.float64]:
        """The middle time of each arm, microseconds a unit, without warming up and drift."""
        arm, us = self._settled
        return np.array([np.median(us[arm == k]) for k in range(len(self.names))])

    @property
    def undisturbed_us(self) -> NDArray[np.float64]:
        """The same compared by the fastest third of each arm's samples, and scaled to the middle times.

        A disturbance only ever makes a sample longer, so that the fastest compare arms best. But all of them are faster
        than the middle ones by about the same share, which is no part of what a unit takes.
        """
        arm, us = self._settled
        fastest = np.array([_mean_of_fastest(us[arm == k]) for k in range(len(self.names))])
        found: NDArray[np.float64] = fastest * (self.medians_us.mean() / fastest.mean())
        return found

    @cached_property
    def _settled(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which arm ran, and its time in microseconds a unit, once warm and as if the machine had kept its speed."""
        us = self.seconds / self.units * 1e6
        middle = np.array([np.median(us[self.arm == k]) for k in range(len(self.names))])
        # Whatever it looks like, half of the rounds stay.
        half = len(us) // len(self.names) // 2 * len(self.names)
        start = min(steady_from(us / middle[self.arm]), half)
        arm, us = self.arm[start:], us[start:]
        position = np.arange(len(us), dtype=np.float64)
        middle = np.array([np.median(us[arm == k]) for k in range(len(self.names))])
        # As a share: what slows a machine down slows short and long arms alike, and none takes less than nothing.
        slower = 1 + drift(position, us / middle[arm]) * (position - position.mean())
        return arm, us / np.maximum(slower, _LEAST_SPEED)

    @cached_property
    def least_us(self) -> NDArray[np.float64]:
        """The shortest time of each arm, microseconds a unit."""
        us = self.seconds / self.units * 1e6
        return np.array([us[self.arm == k].min() for k in range(len(self.names))])


def _mean_of_fastest(us: NDArray[np.float64]) -> float:
    n = max(1, len(us) // 3)
    return float(np.partition(us, n - 1)[:n].mean())


@dataclass(frozen=True)
class Budget:
    """When to stop: at a number of blocks or a time; an interval that is narrow enough stops earlier.

    Parameters
    ----------
    seconds : float
    least_blocks, most_blocks : int
    surely_blocks : int
        So many are run even where that takes longer: one block alone has no spread.
    """

    seconds: float
    least_blocks: int = 10
    most_blocks: int = 400
    surely_blocks: int = 1


@dataclass(frozen=True, eq=False)
class Measurements:
    """Blocks of the same arms.

    Parameters
    ----------
    blocks : tuple of Block
        At least one.
    ended : str
        Why there are no more: "narrow enough", "time", "blocks".
    own_time : bool
        Whether the clock was a thread's own. By such a clock nothing waits, and what makes a sample slower than others
        is no part of the work: arms are compared by their fastest samples. By the wall's clock, by the middle ones.
    """

    blocks: tuple[Block, ...]
    ended: str
    own_time: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The arms; the last is A/A."""
        return self.blocks[0].names

    @property
    def levers(self) -> tuple[float, ...]:
        """Of each arm."""
        return self.blocks[0].levers

    def per_block_us(self) -> NDArray[np.float64]:
        """Return what each arm takes by each block, microseconds a unit, of shape (blocks, arms)."""
        return np.array([block.undisturbed_us if self.own_time else block.medians_us for block in self.blocks])

    def to_json(self) -> dict[str, Any]:
        """Return the raw times as JSON objects, arrays, strings and numbers."""
        blocks = [block.to_json() for block in self.blocks]
        return {"ended": self.ended, "own_time": self.own_time, "blocks": blocks}

    @classmethod
    def from_json(cls, data: Any) -> Measurements:
        """Return the measurements that :meth:`to_json` described.

        Raises
        ------
        SavedRunError
            If they are not.
        """
        try:
            blocks = tuple(Block.from_json(block) for block in data["blocks"])
            if blocks and all((b.names, b.levers) == (blocks[0].names, blocks[0].levers) for b in blocks):
                return cls(blocks, str(data["ended"]), data.get("own_time") is True)
        except (KeyError, TypeError):
            pass
        raise SavedRunError("these are no measurements", do="use a file that hotloop has written")


def run_block(arms: Sequence[Arm], plan: BlockPlan, clock: Clock = time.perf_counter) -> Block:
    """Run every arm, and the base once more, once a round, in an order drawn anew for each round.

    Parameters
    ----------
    arms : sequence of Arm
        The first is the base.
    plan : BlockPlan
    clock : Clock
    """
    arms = [*arms, replace(arms[0], name=A_A)]
    units = plan.units or _units(arms[0], plan.sample_s, clock)
    for arm in arms:
        # Whatever is done once (allocations, caches, imports) is not what is asked about.
        _timed(arm, max(1, units // 4), clock)
    rng = np.random.default_rng(plan.seed)
    order = np.concatenate([rng.permutation(len(arms)) for _ in range(plan.rounds)])
    seconds = np.array([_timed(arms[k], units, clock) for k in order])
    return Block(tuple(arm.name for arm in arms), tuple(arm.lever for arm in arms), units, order, seconds)


def _timed(arm: Arm, units: int, clock: Clock) -> float:
    if arm.before is not None:
        arm.before()
    started_s = clock()
    arm.run(units * arm.times)
    return (clock() - started_s) / arm.times


def _units(base: Arm, sample_s: float, clock: Clock) -> int:
    """Return how many units take about as long as a sample should."""
    units = 1
    # Of five, since one that is interrupted looks long enough.
    while (took_s := min(_timed(base, units, clock) for _ in range(5))) < sample_s / 2 and units < _MOST_UNITS:
        units = max(2 * units, min(8 * units, int(units * sample_s / max(took_s, 1e-9))))
    return max(1, round(units * min(1.0, sample_s / max(took_s, 1e-9))))


class Collection:
    """The blocks of one experiment as they come in.

    Parameters
    ----------
    block : function of a BlockPlan
        Runs one block from a fresh start, here or in another process.
    budget : Budget
    enough : function of Measurements
        Whether their interval is narrow enough. It must look at widths only: stopping where a result pleases makes
        false results frequent.
    plan : BlockPlan
        Of the first block; its seed counts up from there.
    clock : Clock
        For the budget.
    own_time : bool
        Whether blocks are timed by a thread's own clock.
    """

    def __init__(
        self,
        block: Callable[[BlockPlan], Block],
        budget: Budget,
        *,
        enough: Callable[[Measurements], bool] = lambda measurements: False,
        plan: BlockPlan | None = None,
        clock: Clock = time.monotonic,
        own_time: bool = False,
    ) -> None:
        self.blocks: list[Block] = []
        self.ended: str | None = None
        self.spent_s = 0.0
        self._block, self._budget, self._enough, self._clock = block, budget, enough, clock
        self._plan = plan or BlockPlan(seed=0)
        self._look_at, self._own_time = budget.least_blocks, own_time

    def one_more(self) -> None:
        """Run a block; ``ended`` says afterwards whether it was the last, and why."""
        started_s = self._clock()
        # All blocks run as many units as the first found right.
        units = self.blocks[0].units if self.blocks else self._plan.units
        self.blocks.append(self._block(replace(self._plan, seed=self._plan.seed + len(self.blocks), units=units)))
        self.spent_s += self._clock() - started_s
        if len(self.blocks) >= self._budget.most_blocks:
            self.ended = "blocks"
        elif len(self.blocks) >= self._look_at:
            self._look_at = math.ceil(len(self.blocks) * _LOOK_AGAIN)
            if self._enough(self.measurements):
                self.ended = "narrow enough"
        if (
            self.ended is None
            and len(self.blocks) >= self._budget.surely_blocks
            and not self.fits(self._budget.seconds - self.spent_s)
        ):
            self.ended = "time"

    def fits(self, left_s: float) -> bool:
        """Whether another block would probably end in time."""
        return not self.blocks or self.spent_s / len(self.blocks) <= left_s

    @property
    def measurements(self) -> Measurements:
        """What there is so far; at least one block."""
        return Measurements(tuple(self.blocks), self.ended or "time", self._own_time)


def collect(
    block: Callable[[BlockPlan], Block],
    budget: Budget,
    *,
    enough: Callable[[Measurements], bool] = lambda measurements: False,
    plan: BlockPlan | None = None,
    clock: Clock = time.monotonic,
    own_time: bool = False,
) -> Measurements:
    """Run blocks until an interval is narrow enough, or the budget is spent; see :class:`Collection`."""
    collection = Collection(block, budget, enough=enough, plan=plan, clock=clock, own_time=own_time)
    while collection.ended is None:
        collection.one_more()
    return collection.measurements


def level(measurements: Measurements, arm: str) -> Estimate:
    """Return the time of an arm, microseconds a unit."""
    return bootstrap(measurements.per_block_us()[:, measurements.names.index(arm)])


def difference(measurements: Measurements, arm: str, base: str | None = None) -> Estimate:
    """Return what an arm takes longer than another (the base), microseconds a unit."""
    us = measurements.per_block_us()
    names = measurements.names
    return bootstrap(us[:, names.index(arm)] - us[:, names.index(base or names[0])])


def ratio(measurements: Measurements, arm: str, base: str | None = None) -> Estimate:
    """Return how many times as long as another (the base) an arm takes, as a logarithm; ``.exp()`` for the ratio.

    Of ratios of one block, whose moods cancel; their geometric mean, so that A/B is one over B/A.
    """
    us = measurements.per_block_us()
    names = measurements.names
    return bootstrap(np.log(us[:, names.index(arm)] / us[:, names.index(base or names[0])]))


def slope(measurements: Measurements, least: float = -math.inf) -> Estimate:
    """Return what one more of the lever costs, microseconds; each block has an intercept of its own.

    Parameters
    ----------
    measurements : Measurements
    least : float
        Levels below it are left out.
    """
    lever, us = _on_lever(measurements)
    lever, us = lever[lever >= least], us[:, lever >= least]
    centred = lever - lever.mean()
    return bootstrap(us @ centred / (centred @ centred))


def linearity(measurements: Measurements) -> Bends:
    """Return how far the levels of the lever depart from a line, microseconds a unit."""
    return bends(*_on_lever(measurements))


def spread(measurements: Measurements) -> Estimate:
    """Return by how much the base's time differs from one block to another, as a share: a standard deviation."""
    us = measurements.per_block_us()[:, 0]
    return bootstrap(np.log(us), of=deviation)


def _on_lever(measurements: Measurements) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return levers and times of all arms but A/A."""
    return np.array(measurements.levers[:-1]), measurements.per_block_us()[:, :-1]
