"""The runs before the rounds: how long a step takes, and whether the loss curve is eager's.

All contenders visit the rows in the same orders here. A slow one is compared over fewer epochs, so that nobody makes
the others wait for minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hotloop.bench.contender import Contender
from hotloop.bench.workloads import Workload

__all__ = ["FirstRun", "deviation", "first_run"]

_PROBE_STEPS = 20
_SEED = 0


@dataclass(frozen=True, eq=False)
class FirstRun:
    """What the runs before the rounds showed of a contender.

    Parameters
    ----------
    prepare_s : float
        The very first time.
    epoch_s : float
        About how long an epoch takes.
    losses : array of shape (epochs,)
        In the row orders of seed 0.
    """

    prepare_s: float
    epoch_s: float
    losses: NDArray[np.float64]


def first_run(workload: Workload, contender: Contender, longest_s: float) -> FirstRun:
    """Train a few steps twice, so that whatever happens once is over, then as many epochs as curves are compared on.

    Where even the few steps take longer than the many may, they are all there is.

    Parameters
    ----------
    workload : Workload
    contender : Contender
    longest_s : float
        About how long the last of these may take.
    """
    few = min(workload.compared_epochs, -(-_PROBE_STEPS // len(workload.batch_sizes)))
    training = contender.prepare(workload, few, _SEED)
    first = training()
    again = training() if first.duration_s < longest_s else first
    epoch_s = again.duration_s / few
    many = max(few, min(workload.compared_epochs, int(longest_s / epoch_s)))
    if many == few:
        return FirstRun(first.prepare_s, epoch_s, again.losses)
    trained = contender.prepare(workload, many, _SEED)()
    return FirstRun(first.prepare_s, trained.duration_s / many, trained.losses)


def deviation(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[float, int]:
    """Return the largest relative deviation of a curve from another, and over how many epochs both have losses."""
    n = min(len(losses), len(reference))
    return float(np.max(np.abs(losses[:n] / reference[:n] - 1))), n
