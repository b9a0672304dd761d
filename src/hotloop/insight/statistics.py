"""The statistics of measuring on a noisy machine; pure functions of arrays.

Everything rests on one idea: samples of one block share its moods (a busy neighbour, a clock that sank), blocks do
not. So each block gives one figure, and blocks are what is resampled.

==================  ==========================================================================================
trimmed_mean        the middle of some figures, whatever a few of them do
deviation           how far they are spread, likewise
bootstrap           an estimate over blocks, with intervals of any confidence
bootstrap_parts     the same of several parts, which add up
steady_from         where warming up ends, by change points
drift               how much later samples of a block take longer, a robust slope
bends               whether levels lie on a line: a test and a bound that holds for all of them at once
holm                p values of several questions, so that asking many does not find what is not there
==================  ==========================================================================================

Sources: Wilcox, Introduction to Robust Estimation (2012), for trimmed means under the bootstrap; Hesterberg, What
Teachers Should Know about the Bootstrap (2015), for few blocks; Pettitt (1979) for change points; Theil (1950) and Sen
(1968) for the slope; Holm (1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.insight.interval import Interval

__all__ = [
    "Bends",
    "Estimate",
    "bends",
    "bootstrap",
    "bootstrap_parts",
    "deviation",
    "drift",
    "holm",
    "settled_quantile",
    "steady_from",
    "trimmed_mean",
]

Floats = NDArray[np.float64]

_DRAWS = 2000
_TRIMMED = 0.2
_CHANGE_P = 0.01
# Of a normal distribution, in standard deviations.
_MIDDLE_HALF = 2 * NormalDist().inv_cdf(0.75)


def trimmed_mean(values: Floats, axis: int = 0, trimmed: float = _TRIMMED) -> Any:
    """Return the mean of what is left when the smallest and largest fifth are cut off.

    Parameters
    ----------
    values : float64 array
    axis : int
        Along which it is taken.
    trimmed : float
        Share cut off at either end.
    """
    n = values.shape[axis]
    cut = int(trimmed * n)
    ordered = np.sort(values, axis=axis)
    return np.take(ordered, np.arange(cut, n - cut), axis=axis).mean(axis=axis)


def deviation(values: Floats, axis: int = 0) -> Any:
    """Return the standard deviation that a normal distribution with the same middle half would have.

    Parameters
    ----------
    values : float64 array
    axis : int
        Along which it is taken.
    """
    low, high = np.quantile(values, [0.25, 0.75], axis=axis)
    return (high - low) / _MIDDLE_HALF


@dataclass(frozen=True, eq=False)
class Estimate:
    """A figure over blocks, and what it would have been over other blocks of the same kind.

    Parameters
    ----------
    value : float
    draws : float64 array of shape (resamples,)
    n_blocks : int
    """

    value: float
    draws: Floats
    n_blocks: int

    def interval(self, confidence: float = 0.95) -> Interval:
        """Return the bounds between which the true value lies with this confidence."""
        tail = settled_quantile((1 - confidence) / 2, self.n_blocks)
        low, high = np.quantile(self.draws, [tail, 1 - tail])
        return Interval(float(min(low, self.value)), self.value, float(max(high, self.value)))

    def exp(self) -> Estimate:
        """Return the estimate of the exponential: a ratio from the mean of logarithms."""
        return Estimate(math.exp(self.value), np.exp(self.draws), self.n_blocks)

    def p_at_most(self, bound: float) -> float:
        """Return how well "the true value is at most ``bound``" agrees with the blocks, between 0 and 1."""
        return float((np.count_nonzero(self.draws <= bound) + 1) / (len(self.draws) + 1))

    def p_at_least(self, bound: float) -> float:
        """Return how well "the true value is at least ``bound``" agrees with the blocks, between 0 and 1."""
        return float((np.count_nonzero(self.draws >= bound) + 1) / (len(self.draws) + 1))


def bootstrap(per_block: Floats, seed: int = 0, of: Callable[..., Any] = trimmed_mean) -> Estimate:
    """Return a figure over blocks, by default their trimmed mean, and its distribution.

    Parameters
    ----------
    per_block : float64 array of shape (blocks,)
        One figure from each.
    seed : int
        Of the resampling: the same blocks give the same interval, and estimates from the same number of blocks
        resample them alike, so that their draws may be combined.
    of : function of an array and an axis
    """
    n = len(per_block)
    chosen = np.random.default_rng(seed).integers(0, n, size=(_DRAWS, n))
    return Estimate(float(of(per_block, axis=0)), of(per_block[chosen], axis=1), n)


def bootstrap_parts(per_block: Floats, of_whole: Floats, seed: int = 0) -> list[Estimate]:
    """Return the means of several parts over the same blocks: estimates of their sums are sums of their estimates.

    The fifths of the blocks whose wholes are the smallest and the largest are cut off, for all parts alike.

    Parameters
    ----------
    per_block : float64 array of shape (blocks, parts)
    of_whole : float64 array of shape (blocks,)
        What blocks are ordered by.
    seed : int
        Of the resampling.
    """
    n = len(of_whole)
    cut = int(_TRIMMED * n)
    chosen = np.random.default_rng(seed).integers(0, n, size=(_DRAWS, n))

    def means(blocks: NDArray[np.int64]) -> Floats:
        order = np.argsort(of_whole[blocks], axis=-1, kind="stable")[..., cut : n - cut]
        found: Floats = per_block[np.take_along_axis(blocks, order, axis=-1)].mean(axis=-2)
        return found

    values, draws = means(np.arange(n)), means(chosen)
    return [Estimate(float(value), draws[:, part], n) for part, value in enumerate(values)]


def settled_quantile(tail: float, n_blocks: int) -> float:
    """Return the share of draws to cut off at either end so that few blocks do not pretend to certainty.

    Resampling n blocks gives intervals that are too short by sqrt((n - 1) / n) and by what Student's t is wider than
    the normal; cutting off less makes up for both.
    """
    freedom = max(n_blocks - 1, 1)
    wider = math.sqrt(n_blocks / freedom) * _student_t(tail, freedom)
    return NormalDist().cdf(wider)


def _student_t(tail: float, freedom: int) -> float:
    """Return the quantile of Student's t by Cornish and Fisher's expansion; within 1 % from 4 degrees on."""
    z = NormalDist().inv_cdf(tail)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def steady_from(series: Floats) -> int:
    """Return the index from which a series no longer warms up.

    A rank test looks for the most likely change; where it lies in the first half and is hardly chance (1 %), what is
    before it is left out, and the rest is looked at again.

    Parameters
    ----------
    series : float64 array of shape (samples,)
        In the order in which they were taken, comparable with each other.
    """
    start = 0
    while (change := _change_point(series[start:])) is not None and change <= (len(series) - start) // 2:
        start += change
    return start


def _change_point(series: Floats) -> int | None:
    n = len(series)
    if n < 8:
        return None
    later_is_larger = np.sign(series[None, :] - series[:, None])
    # U(t) compares all before t with all from t on.
    statistics = np.array([later_is_larger[:t, t:].sum() for t in range(1, n)])
    change = int(np.argmax(np.abs(statistics)))
    p = 2 * math.exp(-6 * float(statistics[change]) ** 2 / (n**3 + n**2))
    return change + 1 if p < _CHANGE_P else None


def drift(position: Floats, value: Floats) -> float:
    """Return the median slope between all pairs of samples; zero where there are fewer than two positions.

    Parameters
    ----------
    position, value : float64 arrays of shape (samples,)
    """
    i, j = np.triu_indices(len(position), 1)
    run = position[j] - position[i]
    apart = run != 0
    if not apart.any():
        return 0.0
    return float(np.median((value[j] - value[i])[apart] / run[apart]))


@dataclass(frozen=True)
class Bends:
    """How levels depart from a line.

    Parameters
    ----------
    p : float
        How well "they lie on a line" agrees with the blocks.
    deviations : tuple of Interval
        Of each level from the line; the bounds hold for all of them at once with 95 % confidence.
    by_chance : float64 array of shape (resamples,)
        The largest departure that chance makes, in spreads.
    spread : float64 array of shape (levels,)
    n_blocks : int
    """

    p: float
    deviations: tuple[Interval, ...]
    by_chance: Floats = field(repr=False, compare=False)
    spread: Floats = field(repr=False, compare=False)
    n_blocks: int

    @property
    def largest(self) -> float:
        """What no level departs from the line by more than."""
        return max(max(abs(deviation.low), abs(deviation.high)) for deviation in self.deviations)

    def p_beyond(self, bound: float) -> float:
        """Return how well "some level departs by ``bound`` or more" agrees with the blocks, between 0 and 1."""
        return self._p(float(((bound - self._sizes) / self.spread).min()))

    def p_within(self, bound: float) -> float:
        """Return how well "no level departs by more than ``bound``" agrees with the blocks, between 0 and 1."""
        return self._p(float(((self._sizes - bound) / self.spread).max()))

    @property
    def _sizes(self) -> Floats:
        return np.abs([deviation.value for deviation in self.deviations])

    def _p(self, spreads: float) -> float:
        return float((np.count_nonzero(self.by_chance >= spreads) + 1) / (len(self.by_chance) + 1))


def bends(lever: Floats, per_block: Floats, seed: int = 0) -> Bends:
    """Return how far levels depart from the line through them.

    Blocks whose departures are pure chance may have them with either sign: flipping signs at random tells how large
    chance makes the largest one, each measured by its own spread (replicates are the blocks).

    Parameters
    ----------
    lever : float64 array of shape (levels,)
        At least three different values.
    per_block : float64 array of shape (blocks, levels)
    """
    departures = per_block - _line(lever, per_block)
    n = len(departures)
    mean = trimmed_mean(departures)
    # About zero, where the line has them: a sign that flips leaves it as it is, which makes the test exact.
    spread = np.maximum(np.sqrt((departures**2).mean(axis=0) / n), 1e-300)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(_DRAWS, n, 1))
    by_chance = np.abs(trimmed_mean(signs * departures, axis=1) / spread).max(axis=1)
    p = float((np.count_nonzero(by_chance >= np.abs(mean / spread).max()) + 1) / (_DRAWS + 1))
    around_mean = np.abs(trimmed_mean(signs * (departures - mean), axis=1) / spread).max(axis=1)
    bound = float(np.quantile(around_mean, 1 - 2 * settled_quantile(0.025, n)))
    return Bends(p, tuple(map(_interval, mean, bound * spread)), around_mean, spread, n)


def _interval(middle: float, half_width: float) -> Interval:
    return Interval(float(middle - half_width), float(middle), float(middle + half_width))


def _line(lever: Floats, per_block: Floats) -> Floats:
    """Return the least-squares line of each block, at each level."""
    centred = lever - lever.mean()
    slope = per_block @ centred / (centred @ centred)
    fitted: Floats = per_block.mean(axis=1, keepdims=True) + slope[:, None] * centred
    return fitted


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p values, each as if its question had been the only one asked.

    Comparing them with 0.05 keeps the chance of any false "yes" among all of them below 5 %.
    """
    n = len(p_values)
    adjusted, least = [0.0] * n, 0.0
    for rank, index in enumerate(sorted(range(n), key=lambda k: p_values[k])):
        least = max(least, min(1.0, (n - rank) * p_values[index]))
        adjusted[index] = least
    return adjusted
