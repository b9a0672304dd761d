"""What the court says, as plain data: shown by ``text.py``, read by programs, compared by tests."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hotloop.insight.claims.claim import Answer, Standing
from hotloop.insight.claims.evidence import Facts
from hotloop.insight.measure import Measurements

__all__ = ["ArmRow", "Ruling", "Table", "arms_of"]


@dataclass(frozen=True)
class ArmRow:
    """One arm of an experiment: the median of the blocks' medians, and the shortest time; microseconds a unit."""

    name: str
    median_us: float
    least_us: float


@dataclass(frozen=True)
class Table:
    """An experiment as it was measured.

    Parameters
    ----------
    experiment : str
    arms : tuple of ArmRow
        The last is A/A.
    n_blocks : int
    ended : str
        Why there are no more blocks.
    calm : bool
        Whether the base agreed with itself (A/A).
    own_time : bool
        Whether it is the thread's own time, without what other processes took.
    """

    experiment: str
    arms: tuple[ArmRow, ...]
    n_blocks: int
    ended: str
    calm: bool
    own_time: bool


@dataclass(frozen=True)
class Ruling:
    """What the court says of a claim.

    Parameters
    ----------
    claim, belief, prediction : str
    standing : Standing
        What becomes of the belief.
    sentence : str
        The same with figures.
    answers : tuple of Answer
    tables : tuple of Table
    facts : Facts
    figures : dict of float
        What was found out besides times.
    conditions : dict of str
        Machine, versions, date.
    budget_s, took_s : float
    """

    claim: str
    belief: str
    prediction: str
    standing: Standing
    sentence: str
    answers: tuple[Answer, ...]
    tables: tuple[Table, ...]
    facts: Facts
    figures: dict[str, float]
    conditions: dict[str, str]
    budget_s: float
    took_s: float

    def to_json(self) -> dict[str, Any]:
        """Return the ruling as JSON objects, arrays, strings and numbers."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the ruling as plain text for people."""
        from hotloop.insight.claims.text import as_text

        return as_text(self)

    def answer(self, key: str) -> Answer:
        """Return the answer under a key."""
        return next(answer for answer in self.answers if answer.key == key)


def arms_of(measured: Measurements) -> tuple[ArmRow, ...]:
    """Return a row for each arm."""
    medians = np.median([block.medians_us for block in measured.blocks], axis=0)
    least = np.min([block.least_us for block in measured.blocks], axis=0)
    rows = zip(measured.names, medians, least, strict=True)
    return tuple(ArmRow(name, float(median), float(shortest)) for name, median, shortest in rows)
