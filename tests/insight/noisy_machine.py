"""A made-up machine whose clock only moves when work is done, with the moods of a real one and known truths."""

from __future__ import annotations

import numpy as np

from hotloop.insight.measure import Arm


class NoisyMachine:
    """A clock, and work that takes known times plus noise.

    Parameters
    ----------
    seed : int
    mood : float
        Spread between blocks of everything's speed, as a share.
    jitter : float
        Spread between samples, as a share.
    interrupted : float
        Share of samples that lose a millisecond or several to another process.
    drift : float
        How much slower work gets in a second, as a share.
    warm_up : float
        How much slower the first samples of a block are, as a share.
    """

    def __init__(self, seed=0, *, mood=0.05, jitter=0.02, interrupted=0.1, drift=0.02, warm_up=0.3):
        self._random = np.random.default_rng(seed)
        self._mood, self._jitter, self._interrupted = mood, jitter, interrupted
        self._drift, self._warm_up = drift, warm_up
        self.now_s = 0.0
        self.new_block()

    def clock(self) -> float:
        return self.now_s

    def new_block(self) -> None:
        self._speed = np.exp(self._random.normal(0, self._mood))
        self._block_began_s = self.now_s

    def work(self, unit_us: float):
        """Return work that takes so long a unit, all in all."""

        def run(units: int) -> None:
            age_s = self.now_s - self._block_began_s
            slower = 1 + self._drift * age_s + self._warm_up * np.exp(-age_s / 0.02)
            took_s = units * unit_us * 1e-6 * self._speed * slower * np.exp(self._random.normal(0, self._jitter))
            if self._random.random() < self._interrupted:
                took_s += self._random.exponential(0.003)
            self.now_s += took_s

        return run

    def arms(self, base_us: float, per_lever_us: float, levers=(0, 1, 2, 4, 8, 16)) -> list[Arm]:
        return [Arm(f"{lever} times", self.work(base_us + lever * per_lever_us), lever) for lever in levers]
