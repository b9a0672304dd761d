"""What compiled steps take: a few networks compiled and timed, and the cost of each kind of vector operation fitted.

Every network is there for some kind of operation, and each is timed for few rows and for many: their times differ in
how much of each kind they do, which is counted from the program. The costs are those, none below nothing, under which
the times come out best by ratio.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hotloop.compiler.choose_tiles import RowsShape
from hotloop.compiler.code_size import estimated_instructions
from hotloop.compiler.compiled import CompiledProgram, Rows
from hotloop.compiler.layout import Layout
from hotloop.compiler.target import Target, host_target
from hotloop.engines.compiled_steps import Batching, CompiledSteps, UpdateRule
from hotloop.insight.forecasting.native_counts import native_counts
from hotloop.insight.forecasting.work import Work
from hotloop.insight.machines.measure_torch_costs import spread_of
from hotloop.insight.machines.non_negative_fit import non_negative_fit
from hotloop.insight.machines.passport import VECTOR_COSTS, NativeCosts
from hotloop.insight.machines.stopwatch import cpu_clock
from hotloop.program.network import Network
from hotloop.program.optimizers import Adam, Sgd
from hotloop.program.program import Program

__all__ = ["NativeExample", "compile_anew", "measure_native_costs", "native_times_us"]

_USUAL_L2_BYTES = 512 << 10
# Long beside what a call from Python takes.
_LEAST_S = 2e-3
_MOST_STEPS = 4000
_REPEATS = 6


@dataclass(frozen=True)
class NativeExample:
    """A network to compile and time.

    Parameters
    ----------
    widths : tuple of int
        Inputs, hidden layers, outputs.
    activation, loss, optimizer : str
    rows : tuple of int
        Numbers of rows to time with the same code.
    gathers : bool
        Minibatches of the first of ``rows`` instead of full batches.
    """

    widths: tuple[int, ...]
    activation: str
    loss: str
    optimizer: str
    rows: tuple[int, ...]
    gathers: bool = False

    @property
    def network(self) -> Network:
        """The layers."""
        return Network.mlp(self.widths[0], self.widths[1:-1], self.widths[-1], self.activation)

    def work(self, rows: int) -> Work:
        """Return the work of a step."""
        return Work.of_network(self.network, self.loss, self.optimizer, rows, gathers=self.gathers)


# What each is there for, in turn: single steps; products and gradients; weights beyond the near caches; vector
# maths; division; rows that are picked; and last two that are a little of everything.
EXAMPLES = (
    NativeExample((8, 8, 1), "relu", "mse", "sgd", (16, 200)),
    NativeExample((16, 96, 64, 1), "relu", "mse", "sgd", (48, 480)),
    NativeExample((512, 256, 1), "relu", "mse", "sgd", (64, 160)),
    NativeExample((12, 40, 1), "tanh", "mse", "sgd", (48, 480)),
    NativeExample((8, 24, 1), "gelu", "mse", "adam", (64, 480)),
    NativeExample((32, 48, 8), "relu", "ce", "adam", (32, 400)),
    NativeExample((16, 8, 1), "relu", "mse", "sgd", (128,), gathers=True),
    NativeExample((128, 16, 1), "relu", "mse", "sgd", (64,), gathers=True),
    NativeExample((10, 32, 16, 4), "tanh", "ce", "adam", (200,), gathers=True),
    NativeExample((6, 64, 1), "relu", "bce", "adam", (1000,)),
)


def measure_native_costs(l2_bytes: int | None, examples: tuple[NativeExample, ...] = EXAMPLES) -> NativeCosts:
    """Return the costs of compiled steps on this machine; some seconds, most of them compiling.

    Parameters
    ----------
    l2_bytes : int, optional
        Of a core's second cache.
    examples : tuple of NativeExample

    Raises
    ------
    UnsupportedError
        If hotloop cannot compile for this processor.
    """
    target = host_target()
    lanes, cache_bytes = target.lanes("f32"), (l2_bytes or _USUAL_L2_BYTES) // 2
    counts, least_ns, usual_ns, networks, compiling_us = [], [], [], [], []
    for number, example in enumerate(examples):
        compiled, seconds = compile_anew(example.work(example.rows[0]).program, example, target)
        compiling_us.append(1e6 * seconds / estimated_instructions(compiled.program))
        for rows in example.rows:
            work = example.work(rows)
            counted = native_counts(work.program, rows, gathers=work.gathers, lanes=lanes, cache_bytes=cache_bytes)
            counts.append([counted[name] for name in VECTOR_COSTS])
            times_us = native_times_us(compiled, work)
            least_ns.append(1e3 * min(times_us))
            usual_ns.append(1e3 * statistics.median(times_us))
            networks.append(number)
    table, least = np.array(counts), np.array(least_ns)
    left_out = forecasts_left_out(table, least, np.array(networks))
    return NativeCosts(
        lanes=lanes,
        cache_bytes=cache_bytes,
        ns=dict(zip(VECTOR_COSTS, non_negative_fit(table, least).tolist(), strict=True)),
        compile_us_per_instruction=statistics.median(compiling_us),
        spread=spread_of((np.array(usual_ns) / left_out).tolist()),
    )


def forecasts_left_out(
    counts: NDArray[np.float64], times: NDArray[np.float64], networks: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the forecast of each time from the times of all other networks."""
    forecasts = np.empty(len(times))
    for number in np.unique(networks):
        out = networks == number
        # Where nothing else shows a cost, leaving it out would say nothing of forecasts.
        is_seen = counts[~out].any(axis=0)
        shown = np.zeros_like(out) if counts[out][:, ~is_seen].any() else out
        forecasts[out] = counts[out] @ non_negative_fit(counts[~shown], times[~shown])
    return forecasts


def compile_anew(program: Program, example: NativeExample, target: Target) -> tuple[CompiledProgram, float]:
    """Return the machine code of a program, from no cache, and the seconds that compiling took."""
    from hotloop.compiler.emit_run import emit_program
    from hotloop.compiler.link import link
    from hotloop.compiler.machine_code import object_code
    from hotloop.compiler.pipeline import lower

    lanes = target.lanes(program.element)
    clock = cpu_clock(1)
    started_s = clock()
    shape = RowsShape.of(example.rows[-1], example.rows[0] if example.gathers else None, lanes)
    code = object_code(emit_program(lower(program, shape, target), target), target)
    compiled = CompiledProgram(program, Layout.of(program, lanes), lanes, link(code))
    return compiled, clock() - started_s


def native_times_us(compiled: CompiledProgram, work: Work, repeats: int = _REPEATS) -> list[float]:
    """Return what a compiled step takes on random rows, in microseconds, several times."""
    steps = _steps(compiled, work)
    rule = UpdateRule(Sgd() if work.optimizer == "sgd" else Adam(), group_index=0, first_step=0)
    rates, clock = np.array([[1e-4]]), cpu_clock(1)

    def duration_s(n_steps: int) -> float:
        started_s = clock()
        steps.advance(0, n_steps, (rule,), rates)
        return clock() - started_s

    n_steps = 1
    while (once_s := duration_s(n_steps)) < _LEAST_S and n_steps < _MOST_STEPS:
        n_steps = min(max(2 * n_steps, round(n_steps * _LEAST_S / max(once_s, 1e-7))), _MOST_STEPS)
    return [duration_s(n_steps) / n_steps * 1e6 for _ in range(repeats)]


def _steps(compiled: CompiledProgram, work: Work) -> CompiledSteps:
    random = np.random.default_rng(0)
    n_rows = work.batch_rows * (64 if work.gathers else 1)
    x = random.standard_normal((n_rows, work.n_inputs), np.float32)
    y: NDArray[Any] = random.random((n_rows, work.n_outputs), np.float32)
    if work.loss == "ce":
        y = y.argmax(1)
    batching = Batching(work.batch_rows, n_rows // work.batch_rows, work.gathers, not work.gathers, seed=0)
    steps = CompiledSteps(compiled, {}, Rows(x, y), None, batching)
    for item in compiled.program.weights:
        weight = steps.memory.weight(item.name)
        weight[:] = random.uniform(-0.1, 0.1, weight.size)
    return steps
