"""Where a GPU would begin to be worth it: forecasts of both over batch rows and hidden width."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hotloop.insight.explanation import BreakEven
from hotloop.insight.forecasting.forecast import forecast_eager, forecast_eager_gpu
from hotloop.insight.forecasting.native_counts import native_us
from hotloop.insight.forecasting.work import Work
from hotloop.insight.interval import Interval
from hotloop.insight.machines.passport import Passport
from hotloop.program.program import Program

__all__ = ["ROWS", "WIDTHS", "break_even_map", "quotient"]

ROWS = tuple(2**k for k in range(3, 17))
WIDTHS = tuple(2**k for k in range(3, 13))


def break_even_map(
    work: Work, cpu: Passport, gpu: Passport, rows: Sequence[int] = ROWS, widths: Sequence[int] = WIDTHS
) -> BreakEven | None:
    """Return how many times faster the GPU would be, for networks like this one of other sizes.

    Parameters
    ----------
    work : Work
        The subject's step: its depth, functions, loss and optimizer are those of all networks on the map.
    cpu, gpu : Passport
    rows, widths : sequence of int
        Batch rows, and the width of every hidden layer.

    Returns
    -------
    BreakEven or None
        None for networks without a hidden layer, which have no width.
    """
    here = work.hidden_width
    if here is None:
        return None
    columns = []
    for width in widths:
        like = work.of_size(rows[0], width)
        program = like.program if _compiles(work, cpu) else None
        columns.append([_ratio(replace(like, batch_rows=batch_rows), program, cpu, gpu) for batch_rows in rows])
    own = work.program if _compiles(work, cpu) else None
    return BreakEven(
        rows=tuple(rows),
        widths=tuple(widths),
        ratio=tuple(zip(*columns, strict=True)),
        here=(float(work.batch_rows), here),
        cpu=cpu.name,
        gpu=gpu.name,
        engine_cpu=_fastest_on_cpu(work, own, cpu)[0],
        engine_gpu="eager",
    )


def quotient(dividend: Interval, divisor: Interval) -> Interval:
    """Return the ratio of two independent forecasts: distances of the bounds, by ratio, add up as squares do."""
    value = dividend.value / divisor.value
    down = math.hypot(math.log(dividend.value / dividend.low), math.log(divisor.high / divisor.value))
    up = math.hypot(math.log(dividend.high / dividend.value), math.log(divisor.value / divisor.low))
    return Interval(value * math.exp(-down), value, value * math.exp(up))


def _ratio(work: Work, program: Program | None, cpu: Passport, gpu: Passport) -> Interval:
    return quotient(_fastest_on_cpu(work, program, cpu)[1], forecast_eager_gpu(work, gpu))


def _fastest_on_cpu(work: Work, program: Program | None, cpu: Passport) -> tuple[str, Interval]:
    """Return the engine with the shortest forecast on the CPU, and that forecast."""
    found = [("eager", forecast_eager(work, cpu, costs.threads)) for costs in cpu.torch]
    if program is not None and cpu.native is not None:
        us = native_us(program, work.batch_rows, cpu.native, gathers=work.gathers)
        found.append(("native", cpu.native.spread.around(us)))
    return min(found, key=lambda pair: pair[1].value)


def _compiles(work: Work, cpu: Passport) -> bool:
    return cpu.native is not None and work.refusal is None
