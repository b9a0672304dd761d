"""How one pass over the training rows is cut into steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Epoch", "n_steps"]


def n_steps(n_rows: int, batch_size: int, drop_last: bool) -> int:
    """Return the updates in one epoch."""
    return n_rows // batch_size if drop_last else -(-n_rows // batch_size)


@dataclass(frozen=True)
class Epoch:
    """The steps of an epoch, each a range of positions in the epoch's row order.

    Parameters
    ----------
    n_rows : int
    batch_size : int
        Rows of a step; the number of rows for full batch.
    drop_last : bool
        Leave out the remainder batch.
    """

    n_rows: int
    batch_size: int
    drop_last: bool

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First position of each step."""
        return tuple(range(0, self.n_steps * self.batch_size, self.batch_size))

    @property
    def n_steps(self) -> int:
        """Updates in one epoch."""
        return n_steps(self.n_rows, self.batch_size, self.drop_last)

    def batch(self, step: int) -> tuple[int, int]:
        """Return the positions, from and to, that a step takes."""
        start = self.starts[step]
        return start, min(start + self.batch_size, self.n_rows)

    @cached_property
    def ranges(self) -> NDArray[np.int64]:
        """Positions, from and to, of all steps; shape (steps, 2)."""
        return np.array([self.batch(step) for step in range(self.n_steps)])

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Each step's part of the epoch's rows; shape (steps,)."""
        rows = (self.ranges[:, 1] - self.ranges[:, 0]).astype(np.float64)
        return np.asarray(rows / rows.sum())
