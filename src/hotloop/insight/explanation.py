"""The answer of ``hotloop explain`` as plain data: pages draw it, files hold it, tests read it.

::

    Explanation
      subject       what was looked at: network, rows, batch, optimizer
      ledger        a step of the loop in lines that add up to its wall time
      floor         what arithmetic and memory traffic alone would take on this machine
      ladder        the same step with one cost after the other removed
      forecasts     each engine and device: forecast before running, measured afterwards, the forecast's error
      break_even    where a GPU would begin to be worth it, and where this task stands
      advice        sentences, each with the figure it rests on

Times are microseconds a step throughout; a step is one update of the weights.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hotloop.files import as_path, write_atomically
from hotloop.insight.interval import Interval
from hotloop.runs.json_values import to_json_value

__all__ = [
    "Advice",
    "BreakEven",
    "Explanation",
    "Floor",
    "Forecast",
    "Ladder",
    "Ledger",
    "LedgerLine",
    "Rung",
    "Subject",
]


@dataclass(frozen=True)
class Subject:
    """What an explanation is about.

    Parameters
    ----------
    name : str
        The table's name, or the class of the module.
    network : str
        In short, such as "4-10-3 ReLU", or the module's class.
    n_weights : int
        Numbers that are trained.
    rows, features, batch_size : int
        Training rows, features of a row, rows of a step.
    steps : int
        Of the whole run: epochs times steps per epoch.
    optimizer, loss : str
        By their classes' names.
    """

    name: str
    network: str
    n_weights: int
    rows: int
    features: int
    batch_size: int
    steps: int
    optimizer: str
    loss: str


@dataclass(frozen=True)
class LedgerLine:
    """One thing that a step spends time on.

    Parameters
    ----------
    name : str
        "gather", "forward", "loss", "zero_grad", "backward", "clip", "optimizer", "record", "python", "waiting", ...
    us : Interval
        Microseconds a step.
    share : float
        Of the wall time of a step.
    """

    name: str
    us: Interval
    share: float


@dataclass(frozen=True)
class Ledger:
    """Where the wall time of a step goes.

    Parameters
    ----------
    engine, device : str
    threads : int
        CPU threads of torch.
    lines : tuple of LedgerLine
        In the order in which a step does them; what the clock itself took is taken out of each.
    wall_us : Interval
        A step timed from outside, without probes, in turn with the probed ones; of both the fastest third of the runs.
    residual_us : Interval
        ``wall_us`` minus the lines: what they do not explain; about zero if all is well.
    observer_us : Interval
        What probing added to a step.
    refusal : str or None
        Why no conclusion should be drawn from the lines: probing distorts too much, or the lines do not add up.
    """

    engine: str
    device: str
    threads: int
    lines: tuple[LedgerLine, ...]
    wall_us: Interval
    residual_us: Interval
    observer_us: Interval
    refusal: str | None = None


@dataclass(frozen=True)
class Floor:
    """What a step cannot take less than on this machine.

    Parameters
    ----------
    flop, traffic_bytes : float
        Floating point operations of a step, and bytes that have to move between memory and cores at least.
    arithmetic_us, traffic_us : float
        These against the measured peaks of one core.
    us : float
        The larger of the two.
    gflop_per_s, gb_per_s : float
        The peaks.
    """

    flop: float
    traffic_bytes: float
    arithmetic_us: float
    traffic_us: float
    us: float
    gflop_per_s: float
    gb_per_s: float


@dataclass(frozen=True)
class Rung:
    """The step with one more cost removed.

    Parameters
    ----------
    name : str
        "eager", "no hooks", "no modules", "no autograd", "no optimizer", "no python" or "native".
    us : Interval
        Microseconds a step on this rung.
    saved_us : Interval
        What removing that cost saved against the rung before; may be negative.
    """

    name: str
    us: Interval
    saved_us: Interval


@dataclass(frozen=True)
class Ladder:
    """What each layer of convenience costs.

    Parameters
    ----------
    rungs : tuple of Rung
        From the whole step down to machine code.
    left_out : tuple of str
        Why rungs are missing, a sentence each.
    """

    rungs: tuple[Rung, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """What was expected of an engine on a device, and what was measured.

    Parameters
    ----------
    engine, device : str
    machine : str or None
        The machine's name where it is not this one.
    threads : int or None
    forecast_us : Interval
        Before anything ran; the bounds hold four of five networks.
    measured_us : Interval or None
        None where it could not be measured here.
    prepare_s : float
        Capture and compilation before the first step.
    unavailable : str or None
        Why it cannot run this task, or cannot run here.
    """

    engine: str
    device: str
    machine: str | None
    threads: int | None
    forecast_us: Interval | None
    measured_us: Interval | None
    prepare_s: float = 0.0
    unavailable: str | None = None

    @property
    def error(self) -> float | None:
        """How far the forecast was from what was measured, as a share of the latter; signed."""
        if self.forecast_us is None or self.measured_us is None:
            return None
        return self.forecast_us.value / self.measured_us.value - 1


@dataclass(frozen=True)
class BreakEven:
    """How many times faster a GPU would be, over batch rows and hidden width.

    Parameters
    ----------
    rows, widths : tuple of int
        The axes.
    ratio : tuple of tuples of Interval
        ``ratio[i][j]``: time of the fastest engine on the CPU / that on the GPU, for ``rows[i]``, ``widths[j]``; above
        1 the GPU is faster. The interval is that of the forecast.
    here : tuple of float
        Rows and width of the subject.
    cpu, gpu : str
        Names of the machines compared.
    engine_cpu, engine_gpu : str
    """

    rows: tuple[int, ...]
    widths: tuple[int, ...]
    ratio: tuple[tuple[Interval, ...], ...]
    here: tuple[float, float]
    cpu: str
    gpu: str
    engine_cpu: str
    engine_gpu: str


@dataclass(frozen=True)
class Advice:
    """A sentence about what to change, and what it rests on.

    Parameters
    ----------
    about : str
        "engine", "device", "threads", "batch_size", "record_every" or "nothing".
    sentence : str
        In the reader's language, the figure in it.
    figure : float
        The number that it rests on; ``unit`` names it.
    unit : str
        "times", "us a step", "s", "%".
    """

    about: str
    sentence: str
    figure: float
    unit: str


@dataclass(frozen=True, repr=False)
class Explanation:
    """Where the time of a training run goes, how far it is from the limit, and what to change.

    Parameters
    ----------
    subject : Subject
    ledger : Ledger
        Of the loop in eager torch.
    floor : Floor
    ladder : Ladder
    forecasts : tuple of Forecast
    break_even : BreakEven or None
        None where no GPU is known, here or by a passport.
    advice : tuple of Advice
    conditions : dict of str
        Machine, versions, date: what the figures hold for.
    took_s : float
        How long the explaining took.
    notes : tuple of str
        What belongs to the run and not to the step that was measured, a sentence each.
    """

    subject: Subject
    ledger: Ledger
    floor: Floor
    ladder: Ladder
    forecasts: tuple[Forecast, ...]
    break_even: BreakEven | None
    advice: tuple[Advice, ...]
    conditions: dict[str, str]
    took_s: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON objects, arrays, strings, numbers and nulls; texts are English."""
        found: dict[str, Any] = asdict(self)
        for one, forecast in zip(found["forecasts"], self.forecasts, strict=True):
            one["error"] = forecast.error
        return {name: to_json_value(value) for name, value in found.items()}

    def __str__(self) -> str:
        from hotloop.report.explanation_text import explanation_text

        return explanation_text(self)

    __repr__ = __str__

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write this explanation as a page: one HTML file that needs nothing else, neither a network nor scripts.

        Returns
        -------
        The path written.

        Raises
        ------
        ArgumentError
            ``path`` is no path.
        OutputError
            The file cannot be written, or Jinja2 cannot be used.
        """
        from hotloop.report.page import render_explanation

        path = as_path(path)
        return write_atomically(path, render_explanation(self).encode())

    def _repr_html_(self) -> str:
        from hotloop.report.fragment import explanation_fragment

        return explanation_fragment(self)
