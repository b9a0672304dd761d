"""What takes part in the benchmark has to offer.

A contender is asked whether it can take a workload, prepared for so many epochs, and then trained any number of times,
each time from the workload's first weights::

    contender.absent(workload)                    # None, or why it cannot take part
    training = contender.prepare(workload, epochs, seed)
    training().duration_s, training().losses      # seconds of the loop alone; a loss for each epoch
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hotloop.bench.workloads import Workload

__all__ = ["Contender", "Trained", "Training", "usable_threads", "version_of"]


@dataclass(frozen=True, eq=False)
class Trained:
    """One training.

    Parameters
    ----------
    duration_s, prepare_s : float
        The loop; capture and compilation before it, 0 where there is none.
    losses : array of shape (epochs,)
        Mean over the epoch's rows, each before its batch's update.
    """

    duration_s: float
    prepare_s: float
    losses: NDArray[np.float64]


Training = Callable[[], Trained]


class Contender(Protocol):
    """One way of training a workload; see the overview above."""

    @property
    def name(self) -> str:
        """Name in tables and on the command line."""
        ...

    @property
    def threads(self) -> int:
        """CPU threads that it may use."""
        ...

    @property
    def about(self) -> str:
        """What it does, in a sentence for people."""
        ...

    def absent(self, workload: Workload) -> str | None:
        """Return why it cannot take part, or None."""
        ...

    def prepare(self, workload: Workload, epochs: int, seed: int | None) -> Training:
        """Return the training of so many epochs, always from the same first weights.

        Parameters
        ----------
        workload : Workload
        epochs : int
        seed : int or None
            Rows are visited in ``program.random.row_order(rows, seed, epoch)``; None leaves the order, and the work
            of drawing it, to the contender.
        """
        ...


def version_of(package: str) -> str | None:
    """Return the version that is installed, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def usable_threads() -> int:
    """Return how many threads this process may run at once."""
    from hotloop.hardware import describe

    return describe().cpu.usable_threads or 1
