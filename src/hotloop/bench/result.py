"""What a benchmark has seen, as plain data: tables and pictures are made of it.

::

    Benchmark
      conditions    what the figures hold for: machine, versions, date, load
      about         what each contender does
      workloads     WorkloadResult
        contenders    Timing: one for each that was measured
        absent        Absent: one for each that was not, with the reason
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from hotloop.insight.interval import Interval
from hotloop.runs.json_values import to_json_value

__all__ = ["Absent", "Benchmark", "Timing", "WorkloadResult"]


@dataclass(frozen=True)
class Timing:
    """What was seen of one contender on one workload.

    Parameters
    ----------
    name : str
    threads : int
        CPU threads that it may use.
    us_per_step : tuple of float
        Wall time of each round's training by its steps.
    steps : int
        Of each training.
    rows_per_step : float
    peak_share : float or None
        Of the arithmetic peak of its threads, by the median; None where the peak is unknown.
    ratio : Interval or None
        How many times as long as hotloop's its step takes; None without hotloop, and for hotloop itself.
    prepare_s : float
        Capture and compilation, with empty caches; 0 where there is none.
    pays_after_steps : int or None
        From which step on preparing and training is quicker than eager on one thread; None: never, or not known.
    deviation : float or None
        Largest relative deviation of its loss curve from eager's in the same row orders.
    compared_epochs : int
        Over how many epochs.
    """

    name: str
    threads: int
    us_per_step: tuple[float, ...]
    steps: int
    rows_per_step: float
    peak_share: float | None
    ratio: Interval | None
    prepare_s: float
    pays_after_steps: int | None
    deviation: float | None
    compared_epochs: int

    @cached_property
    def least_us(self) -> float:
        """The shortest round's microseconds a step."""
        return min(self.us_per_step)

    @cached_property
    def median_us(self) -> float:
        """The middle round's microseconds a step."""
        return statistics.median(self.us_per_step)

    @property
    def rows_per_s(self) -> float:
        """Training rows a second, by the median."""
        return self.rows_per_step / self.median_us * 1e6

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON objects, arrays, strings, numbers and nulls; units are in the names."""
        figures = {"least_us": self.least_us, "median_us": self.median_us, "rows_per_s": self.rows_per_s}
        return {**asdict(self), "us_per_step": list(self.us_per_step), **figures}


@dataclass(frozen=True)
class Absent:
    """A contender that was not measured.

    Parameters
    ----------
    name, why : str
    """

    name: str
    why: str


@dataclass(frozen=True)
class WorkloadResult:
    """One workload's figures.

    Parameters
    ----------
    name, origin, description : str
    flop_per_step : float
    floor_us : float or None
        The step's arithmetic at the peak of one core; None where that is unknown.
    again : Interval or None
        hotloop against itself under another name: how far the machine's restlessness alone takes a ratio from 1.
    contenders : tuple of Timing
    absent : tuple of Absent
    """

    name: str
    origin: str
    description: str
    flop_per_step: float
    floor_us: float | None
    again: Interval | None
    contenders: tuple[Timing, ...]
    absent: tuple[Absent, ...]

    def timing(self, name: str) -> Timing | None:
        """Return the contender of that name, if it was measured."""
        return next((timing for timing in self.contenders if timing.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON objects, arrays, strings, numbers and nulls; units are in the names."""
        return {
            **asdict(self),
            "contenders": [timing.to_json() for timing in self.contenders],
            "absent": [asdict(absent) for absent in self.absent],
        }


@dataclass(frozen=True)
class Benchmark:
    """All workloads' figures.

    Parameters
    ----------
    conditions : dict
        Texts and numbers.
    about : dict
        What each contender does, by name.
    workloads : tuple of WorkloadResult
    """

    conditions: dict[str, Any]
    about: dict[str, str]
    workloads: tuple[WorkloadResult, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON objects, arrays, strings, numbers and nulls; units are in the names."""
        return {
            "conditions": to_json_value(self.conditions),
            "about": self.about,
            "workloads": [to_json_value(workload.to_json()) for workload in self.workloads],
        }
