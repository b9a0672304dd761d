"""What a monitor writes down, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hotloop.insight.interval import Interval
from hotloop.runs.json_values import to_json_value

__all__ = ["ActivationStatistics", "DeadUnits", "GradientNorms", "MonitorCost", "MonitorRecord"]


@dataclass(frozen=True)
class GradientNorms:
    """Euclidean norms of a parameter's gradient, over the backward passes since the record before.

    Parameters
    ----------
    last, mean, largest : float
        NaN or infinite where a gradient was.
    passes : int
    """

    last: float
    mean: float
    largest: float
    passes: int


@dataclass(frozen=True)
class ActivationStatistics:
    """What a module gave out, over all numbers of its calls since the record before.

    Parameters
    ----------
    mean, std, least, largest : float
    zeros : float
        Share of the numbers that were exactly 0.
    calls : int
    """

    mean: float
    std: float
    least: float
    largest: float
    zeros: float
    calls: int


@dataclass(frozen=True)
class DeadUnits:
    """Units that gave 0 for every row since the record before.

    Parameters
    ----------
    dead, units : int
        How many, of how many.
    which : tuple of int
        The first 32 of them.
    """

    dead: int
    units: int
    which: tuple[int, ...]


@dataclass(frozen=True)
class MonitorRecord:
    """What a monitor saw since the record before.

    Parameters
    ----------
    epoch : int or None
        Epochs completed; None for records made by hand without one.
    loss : float or None
    gradients : dict of str to GradientNorms
        By the names of the parameters; those that got no gradient are left out.
    activations : dict of str to ActivationStatistics
        By the paths of the modules; those that were not called are left out.
    dead_units : dict of str to DeadUnits
        By the paths of layers such as ReLU.
    """

    epoch: int | None
    loss: float | None
    gradients: dict[str, GradientNorms]
    activations: dict[str, ActivationStatistics]
    dead_units: dict[str, DeadUnits]

    def to_json(self) -> dict[str, Any]:
        """Return JSON objects, arrays, strings, numbers and nulls; null stands for NaN and infinity."""
        return {key: to_json_value(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class MonitorCost:
    """What monitoring adds to a step without its optimizer: forward, loss, zero_grad and backward.

    Parameters
    ----------
    with_us, without_us : Interval
        Microseconds a step.
    added_us : Interval
        Their difference, from within the blocks.
    ratio : Interval
        How many times as long a monitored step takes.
    restless : bool
        Whether the step without differed from itself, so that nothing can be concluded.
    blocks : int
    """

    with_us: Interval
    without_us: Interval
    added_us: Interval
    ratio: Interval
    restless: bool
    blocks: int
