"""What torch takes to issue the operations of a step, and to do them: measured on one device."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hotloop.engines.eager import EagerSession
from hotloop.engines.losses import RowLoss
from hotloop.engines.task import Rows, Task
from hotloop.engines.threads import torch_threads
from hotloop.insight.forecasting.forecast import host_counts
from hotloop.insight.forecasting.work import LOSSES, OPTIMIZERS, Work
from hotloop.insight.machines.non_negative_fit import non_negative_fit
from hotloop.insight.machines.passport import HOST_COSTS, Spread, TorchCosts
from hotloop.insight.machines.stopwatch import CudaStopwatch, Stopwatch, cpu_clock
from hotloop.insight.machines.torch_operations import Grid, timed_tables
from hotloop.program.network import Network
from hotloop.program.random import row_order

__all__ = [
    "costs_without_spread",
    "eager_session",
    "eager_step_us",
    "measure_host_costs",
    "measure_tables",
    "spread_of",
]

_TINY = 4
_TINY_ROWS = 8
_ROUNDS = 4
# After another network's turn the processor's caches have to fill again.
_TIMES_IN_A_ROW = 8
# Of the times of a tiny step: near the least, which a single lucky moment may have given.
_QUANTILE = 0.2
# Of networks that were not measured forecasts lie farther off than of those that were.
_LEAST_DEVIATION = 0.12
_FOUR_OF_FIVE = 1.2816
# On a GPU the wait for the last step is part of the time.
_LEAST_S = {"cpu": 1e-3, "cuda": 2e-2}
_ROWS_OF_AN_ORDER = 1 << 15


@dataclass(frozen=True)
class TinyStep:
    """A step so small that issuing its operations is all that takes time."""

    depth: int
    activation: str = "identity"
    loss: str = "mse"
    optimizer: str = "sgd"
    gathers: bool = False

    @property
    def network(self) -> Network:
        """The layers."""
        return Network.mlp(_TINY, (_TINY,) * (self.depth - 1), _TINY, self.activation)

    @property
    def work(self) -> Work:
        """The step."""
        return Work.of_network(self.network, self.loss, self.optimizer, _TINY_ROWS, gathers=self.gathers)


# Each cost is what two or more of them differ by.
_STEPS = (
    TinyStep(1),
    TinyStep(5),
    TinyStep(5, "relu"),
    TinyStep(1, loss="ce"),
    TinyStep(1, loss="bce"),
    TinyStep(1, optimizer="adam"),
    TinyStep(5, optimizer="adam"),
    TinyStep(1, gathers=True),
    TinyStep(3, "tanh", "ce", "adam", True),
    TinyStep(3, "tanh", "bce", "sgd", True),
)


def eager_session(
    work: Work, network: Network, device: str, threads: int | None, *, n_batches: int = 1
) -> EagerSession:
    """Return the eager engine on a network, with random rows; its full batch, or minibatches of that size."""
    import torch

    from hotloop.capture.sequential import to_module

    generator = torch.Generator().manual_seed(0)
    rows = work.batch_rows * n_batches
    x = torch.randn(rows, network.n_inputs, generator=generator)
    y = torch.rand(rows, network.n_outputs, generator=generator)
    model = to_module(network, network.initialise(0)).to(device)
    training = Rows(x, y.argmax(1) if work.loss == "ce" else y)
    loss = getattr(torch.nn, LOSSES[work.loss])()
    task = Task(
        model=model,
        loss=loss,
        row_loss=RowLoss.of(loss),
        optimizer=getattr(torch.optim, OPTIMIZERS[work.optimizer])(model.parameters(), lr=1e-4),
        training=training,
        validation=None,
        batch_size=work.batch_rows,
        shuffle=work.gathers,
        drop_last=True,
        clip_grad_norm=None,
        seed=0,
        device=device,
        threads=threads,
        probe=None,
    )
    return EagerSession(task)


def eager_step_us(session: EagerSession, threads: int | None, least_s: float = 1e-3) -> Callable[[], float]:
    """Return a function that takes the time of a step once more, in microseconds, of the thread or of the clock."""
    clock = cpu_clock(threads)
    session.advance(3, None)
    n_steps = 1

    def once() -> float:
        started_s = clock()
        session.advance(n_steps, None)
        return (clock() - started_s) / n_steps * 1e6

    while n_steps < 4096 and (us := once()) * n_steps < least_s * 1e6:
        n_steps = min(2 * n_steps, max(n_steps + 1, round(1.2e6 * least_s / us)))
    return once


def measure_host_costs(device: str, threads: int | None) -> dict[str, float]:
    """Return the costs of issuing a step's operations, from tiny networks timed in turn."""
    sessions = [eager_session(step.work, step.network, device, threads, n_batches=64) for step in _STEPS]
    timers = [eager_step_us(session, threads, _LEAST_S[device]) for session in sessions]
    taken: list[list[float]] = [[] for _ in timers]
    for _, (those, once) in itertools.product(range(_ROUNDS), zip(taken, timers, strict=True)):
        those += [once() for _ in range(_TIMES_IN_A_ROW)]
    us = np.array([np.quantile(those, _QUANTILE) for those in taken])
    of_a_row_us = _order_of_a_row_us()
    counts = np.array([[host_counts(step.work)[name] for name in HOST_COSTS] for step in _STEPS])
    known = counts[:, -1] * of_a_row_us
    fitted = non_negative_fit(counts[:, :-1], us - known)
    return dict(zip(HOST_COSTS, [*fitted.tolist(), of_a_row_us], strict=True))


def _order_of_a_row_us() -> float:
    stopwatch = Stopwatch(cpu_clock(1), repeats=5, most_s=0.2)
    return stopwatch.us(lambda: row_order(_ROWS_OF_AN_ORDER, 0, 1)) / _ROWS_OF_AN_ORDER


def measure_tables(device: str, threads: int | None, grid: Grid, rounds: int = 2) -> dict[str, Any]:
    """Return the times of operations by their sizes, each the least of several rounds."""
    import torch

    is_cpu = device == "cpu"
    stopwatch = Stopwatch(cpu_clock(threads)) if is_cpu else CudaStopwatch(torch)
    with torch_threads(threads):
        # On a CPU the device is the host: what issuing takes is counted once, with the host's costs.
        taken = [timed_tables(torch, device, grid, stopwatch.us, with_issuing=not is_cpu) for _ in range(rounds)]
    return {
        name: type(table)(table.axes, tuple(map(min, zip(*(each[name].us for each in taken), strict=True))))
        for name, table in taken[0].items()
    }


def spread_of(ratios: list[float]) -> Spread:
    """Return the spread of measured / forecast of calibration networks."""
    logarithms = [math.log(ratio) for ratio in ratios]
    middle = statistics.median(logarithms)
    squares = sum((each - middle) ** 2 for each in logarithms)
    deviation = max(math.sqrt(squares / max(len(ratios) - 1, 1)), _LEAST_DEVIATION)
    low, high = middle - _FOUR_OF_FIVE * deviation, middle + _FOUR_OF_FIVE * deviation
    return Spread(math.exp(low), math.exp(middle), math.exp(high), len(ratios))


def costs_without_spread(threads: int | None, host: dict[str, float], tables: dict[str, Any]) -> TorchCosts:
    """Return the costs before they were compared with whole networks."""
    return TorchCosts(threads, host, tables, Spread(1.0, 1.0, 1.0, 0))
